#pragma once

#include <memory>
#include <string>

#include "text/engine.h"
#include "text/token_table.h"

namespace weft::text {

/// `model` of type WordLevel: each piece is a word of the vocabulary or the unknown token.
std::unique_ptr<const Model> make_wordlevel(TokenTable vocab, std::string unk_token, const std::string& file);

}  // namespace weft::text
