#include "recipe/yaml_checks.h"

#include <fmt/format.h>

namespace weft::recipe {

namespace {

/// Length of the UTF-8 sequence at the start of `text`, 0 if it is malformed (also overlong, surrogates, too large).
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(text[i])); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  unsigned code = first & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = (code << 6) | (byte(i) & 0x3F);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  return overlong || surrogate || code > 0x10FFFF ? 0 : length;
}

bool is_forbidden_control(unsigned char c) { return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F; }

}  // namespace

void check_text(std::string_view text, const std::string& file) {
  int line = 1, column = 1;
  size_t brackets = 0;
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (is_forbidden_control(c))
      throw RecipeError({file, line, column}, fmt::format("control character 0x{:02x}; a recipe is plain text", c));
    const size_t length = utf8_length(text.substr(i));
    if (length == 0) throw RecipeError({file, line, column}, fmt::format("byte 0x{:02x} is not UTF-8", c));
    if ((c == '[' || c == '{') && ++brackets > kMostNodes)
      throw RecipeError({file, line, column}, fmt::format("more than {} brackets", kMostNodes));
    if (c == '\n') {
      ++line;
      column = 1;
    } else {
      column += static_cast<int>(length);
    }
    i += length;
  }
}

}  // namespace weft::recipe
