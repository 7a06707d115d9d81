#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::text {

/// Byte-level BPE's alphabet: each byte has a printable character, most of them their own.
void append_byte_characters(std::string& out, std::string_view bytes);
/// The byte of a character of the alphabet, or -1.
int byte_of_character(char32_t code);

}  // namespace weft::text
