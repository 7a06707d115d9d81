#include "text/sentencepiece_check.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <unordered_set>

#include "io/utf8.h"
#include "text/charsmap.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

/// The library sorts and nests by piece; real ones are far below both.
constexpr size_t kMaxPieces = 4'000'000, kMaxPieceBytes = 2048;

/// Reads the fields of one message of the protobuf wire format, every length checked.
class ProtoReader {
 public:
  enum Wire { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  ProtoReader(std::string_view message, std::string_view what, const std::string& file)
      : bytes_(message), what_(what), file_(file) {}

  /// The next field, its number in `field`; false at the end. Its value is then read, whatever its type.
  bool next() {
    begin_ = at_;
    if (at_ == bytes_.size()) return false;
    const std::uint64_t tag = varint();
    field = tag >> 3;
    wire = static_cast<int>(tag & 7);
    if (field == 0 || field > 0x1FFFFFFF) fail("has a field without a number");
    switch (wire) {
      case kVarint: number = varint(); break;
      case kFixed64: number = fixed(8); break;
      case kFixed32: number = fixed(4); break;
      case kBytes: bytes = take(varint()); break;
      default: fail(fmt::format("has a field of the unknown kind {}", wire));
    }
    return true;
  }
  /// All bytes of the field.
  std::string_view raw() const { return bytes_.substr(begin_, at_ - begin_); }
  void expect(Wire wanted) const {
    if (wire != wanted)
      fail(fmt::format("has field {} of kind {}, expected kind {}", field, wire, static_cast<int>(wanted)));
  }
  bool flag() const {
    expect(kVarint);
    return number != 0;
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw FormatError(file_, fmt::format("not a SentencePiece model: {} {}", what_, what));
  }

  std::uint64_t field = 0, number = 0;
  int wire = 0;
  std::string_view bytes;  // of a field of kind kBytes

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) fail("is cut short");
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail("has a number of more than 64 bits");
  }
  std::string_view take(std::uint64_t length) {
    if (length > bytes_.size() - at_) fail("is cut short");
    const std::string_view part = bytes_.substr(at_, static_cast<size_t>(length));
    at_ += part.size();
    return part;
  }
  std::uint64_t fixed(size_t width) {
    std::uint64_t value = 0;
    const std::string_view part = take(width);
    for (size_t k = 0; k < width; ++k)
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(part[k])) << 8 * k;
    return value;
  }

  std::string_view bytes_, what_;
  const std::string& file_;
  size_t at_ = 0, begin_ = 0;
};

SentencePieceFacts::Piece read_piece(std::string_view bytes, size_t index, const std::string& file) {
  const std::string what = fmt::format("piece {}", index);
  ProtoReader reader(bytes, what, file);
  SentencePieceFacts::Piece piece;
  while (reader.next()) {
    if (reader.field == 1) {
      reader.expect(ProtoReader::kBytes);
      piece.text = reader.bytes;
    } else if (reader.field == 2) {
      reader.expect(ProtoReader::kFixed32);
      if (!std::isfinite(std::bit_cast<float>(static_cast<std::uint32_t>(reader.number))))
        reader.fail("has a score that is not finite");
    } else if (reader.field == 3) {
      reader.expect(ProtoReader::kVarint);
      if (reader.number < 1 || reader.number > 6) reader.fail(fmt::format("has the unknown type {}", reader.number));
      piece.type = static_cast<SentencePieceFacts::Type>(reader.number);
    }
  }
  if (piece.text.empty()) reader.fail("is empty");
  if (piece.text.size() > kMaxPieceBytes)
    reader.fail(fmt::format("has {} bytes, more than {}", piece.text.size(), kMaxPieceBytes));
  if (piece.text.find('\0') != std::string_view::npos || !io::valid_utf8(piece.text)) reader.fail("is not UTF-8 text");
  return piece;
}

void read_normalizer(std::string_view bytes, bool backwards, const std::string& file, SentencePieceFacts& facts) {
  ProtoReader reader(bytes, backwards ? "the denormalizer" : "the normalizer", file);
  while (reader.next()) {
    if (reader.field == 1 || reader.field == 2 || reader.field == 6) {
      reader.expect(ProtoReader::kBytes);
      if (reader.field != 2 || reader.bytes.empty()) continue;
      if (backwards) throw UnsupportedError(file + ": a SentencePiece model with a denormalizer is not supported");
      check_charsmap(reader.bytes, file);
    } else if (reader.field == 3 || reader.field == 4 || reader.field == 5) {
      const bool flag = reader.flag();
      if (backwards) continue;
      if (reader.field == 3) facts.dummy_prefix = flag;
      if (reader.field == 4) facts.drops_extra_blanks = flag;
    }
  }
}

void read_trainer(std::string_view bytes, const std::string& file, SentencePieceFacts& facts) {
  ProtoReader reader(bytes, "the trainer's part", file);
  constexpr std::uint64_t kModelType = 3, kBlankBehind = 24, kUnknownSurface = 44;
  while (reader.next()) {
    if (reader.field == kModelType) {
      reader.expect(ProtoReader::kVarint);
      if (reader.number < 1 || reader.number > 4)
        reader.fail(fmt::format("names the unknown model type {}", reader.number));
    } else if (reader.field == kBlankBehind && reader.flag()) {
      throw UnsupportedError(file + ": a SentencePiece model with blanks behind words is not supported");
    } else if (reader.field == kUnknownSurface) {
      reader.expect(ProtoReader::kBytes);
      if (!io::valid_utf8(reader.bytes)) reader.fail("has an unknown surface that is not UTF-8");
      facts.unknown_surface = reader.bytes;
    } else if (reader.field >= 45 && reader.field <= 48) {
      reader.expect(ProtoReader::kBytes);  // how the unknown, start, end and padding pieces are spelled
    }
  }
}

void check_pieces(const SentencePieceFacts& facts, const std::string& file) {
  std::unordered_set<std::string_view> seen;
  seen.reserve(facts.pieces.size());
  size_t unknown = 0;
  for (const SentencePieceFacts::Piece& piece : facts.pieces) {
    if (!seen.insert(piece.text).second)
      throw FormatError(file, fmt::format("not a SentencePiece model: the piece '{}' is there twice", piece.text));
    unknown += piece.type == SentencePieceFacts::Type::kUnknown;
    if (piece.type == SentencePieceFacts::Type::kByte && !is_byte_piece(piece.text))
      throw FormatError(file, fmt::format("not a SentencePiece model: '{}' is not the name of a byte", piece.text));
  }
  if (unknown != 1)
    throw FormatError(file, fmt::format("not a SentencePiece model: it has {} pieces, {} of them for the unknown, "
                                        "expected one",
                                        facts.pieces.size(), unknown));
}

}  // namespace

bool is_byte_piece(std::string_view piece) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return piece.size() == 6 && piece.starts_with("<0x") && digit(piece[3]) && digit(piece[4]) && piece[5] == '>';
}

SentencePieceFacts check_sentencepiece(std::string_view bytes, const std::string& file) {
  ProtoReader reader(bytes, "the file", file);
  SentencePieceFacts facts;
  constexpr std::uint64_t kSelfTest = 4;
  while (reader.next()) {
    if (reader.field != kSelfTest) facts.model += reader.raw();
    if (reader.field < 1 || reader.field > 5) continue;
    reader.expect(ProtoReader::kBytes);
    if (reader.field == 1) {
      if (facts.pieces.size() == kMaxPieces) reader.fail(fmt::format("has more than {} pieces", kMaxPieces));
      facts.pieces.push_back(read_piece(reader.bytes, facts.pieces.size(), file));
    } else if (reader.field == 2) {
      read_trainer(reader.bytes, file, facts);
    } else if (reader.field == 3 || reader.field == 5) {
      read_normalizer(reader.bytes, reader.field == 5, file, facts);
    }
  }
  check_pieces(facts, file);
  return facts;
}

}  // namespace weft::text
