#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::io {

/// True when the text is well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF).
bool valid_utf8(std::string_view text);
/// Appends the UTF-8 form of a code point that is not a surrogate.
void append_utf8(std::string& out, std::uint32_t code);

}  // namespace weft::io
