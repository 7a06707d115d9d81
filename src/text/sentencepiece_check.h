#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weft::text {

/// What a SentencePiece model file says about itself, as far as decoding needs it.
struct SentencePieceFacts {
  enum class Type { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
  struct Piece {
    std::string_view text;  ///< in the file's bytes
    Type type = Type::kNormal;
  };
  std::vector<Piece> pieces;
  bool dummy_prefix = true;  ///< a blank is put before the text
  bool drops_extra_blanks = true;
  /// The file without its self test, about which the library prints.
  std::string model;
  std::string unknown_surface = " \u2047 ";  ///< what an unknown piece is decoded to
};

/// True for `<0x00>` to `<0xFF>`.
bool is_byte_piece(std::string_view piece);

/// Reads all of a model file before the SentencePiece library does, which trusts it: the library indexes by what the
/// file says and may end the program. @throws FormatError naming what is wrong, UnsupportedError for a denormalizer.
SentencePieceFacts check_sentencepiece(std::string_view bytes, const std::string& file);

}  // namespace weft::text
