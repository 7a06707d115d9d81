#pragma once

#include <string>
#include <string_view>

#include "text/engine.h"

namespace weft::text {

/// A tokenizer.json. `file` names it in messages. Sets engine, before, after and unk (where the model states it).
/// @throws FormatError when malformed, UnsupportedError naming an unknown component.
Tokenizer::Data parse_tokenizer_json(std::string_view json, const std::string& file);

}  // namespace weft::text
