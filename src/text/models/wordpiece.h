#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "text/engine.h"
#include "text/token_table.h"

namespace weft::text {

/// `model` of type WordPiece; names and options are those of tokenizer.json. `file` names the tokenizer in messages.
std::unique_ptr<const Model> make_wordpiece(TokenTable vocab, std::string unk_token,
                                            std::string continuing_subword_prefix,
                                            std::int64_t max_input_chars_per_word, const std::string& file);

}  // namespace weft::text
