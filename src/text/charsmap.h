#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/pipeline.h"

namespace weft::text {

/// Normalizer `Precompiled`: SentencePiece's character map, base64 as tokenizer.json has it. `file` names the tokenizer
/// in messages. @throws FormatError when it is damaged.
std::unique_ptr<const Normalizer> make_precompiled(std::string_view base64, const std::string& file);

/// Checks such a map as bytes, as SentencePiece models carry it. @throws FormatError when it is damaged.
void check_charsmap(std::string_view bytes, const std::string& file);

}  // namespace weft::text
