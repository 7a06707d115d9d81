#include "text/byte_alphabet.h"

#include <array>

#include "text/unicode.h"

namespace weft::text {

namespace {

struct ByteAlphabet {
  std::array<std::string, 256> characters;
  std::array<int, 512> bytes{};

  ByteAlphabet() {
    bytes.fill(-1);
    char32_t spare = 256;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      const char32_t code = printable ? static_cast<char32_t>(b) : spare++;
      append_code(characters[static_cast<size_t>(b)], code);
      bytes[code] = b;
    }
  }
};

const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

}  // namespace

void append_byte_characters(std::string& out, std::string_view bytes) {
  const ByteAlphabet& alphabet = byte_alphabet();
  for (const char byte : bytes) out += alphabet.characters[static_cast<unsigned char>(byte)];
}

int byte_of_character(char32_t code) { return code < 512 ? byte_alphabet().bytes[code] : -1; }

}  // namespace weft::text
