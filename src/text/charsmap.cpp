#include "text/charsmap.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "io/utf8.h"
#include "text/unicode.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

/// Marks that join the character before them since Unicode 16 and 17; the Unicode of utf8proc is older.
constexpr std::array<std::pair<char32_t, char32_t>, 20> kNewerMarks = {
    {{0x897, 0x897},     {0x1ACF, 0x1ADD},   {0x1AE0, 0x1AEB},   {0x10D69, 0x10D6D}, {0x10EFA, 0x10EFC},
     {0x113B8, 0x113C0}, {0x113C2, 0x113C2}, {0x113C5, 0x113C5}, {0x113C7, 0x113CA}, {0x113CC, 0x113D0},
     {0x113D2, 0x113D2}, {0x113E1, 0x113E2}, {0x11B60, 0x11B67}, {0x11F5A, 0x11F5A}, {0x1611E, 0x1612F},
     {0x1E5EE, 0x1E5EF}, {0x1E6E3, 0x1E6E3}, {0x1E6E6, 0x1E6E6}, {0x1E6EE, 0x1E6EF}, {0x1E6F5, 0x1E6F5}}};

/// As utf8proc's break rules see a character.
utf8proc_int32_t grapheme_kin(char32_t code) {
  const auto joins = [&](const auto& range) { return code >= range.first && code <= range.second; };
  if (code >= 0x897 && std::any_of(kNewerMarks.begin(), kNewerMarks.end(), joins)) return 0x0301;
  return static_cast<utf8proc_int32_t>(code);
}

/// The end of the grapheme cluster that begins at `at`.
size_t grapheme_end(std::string_view text, size_t at) {
  utf8proc_int32_t state = 0;
  char32_t last = next_code(text, at);
  while (at < text.size()) {
    // Nearly all text: two plain characters never join (but CR LF).
    if (last < 0x300 && static_cast<unsigned char>(text[at]) < 0x80 && state == 0 &&
        !(last == '\r' && text[at] == '\n'))
      return at;
    size_t next = at;
    const char32_t code = next_code(text, next);
    if (utf8proc_grapheme_break_stateful(grapheme_kin(last), grapheme_kin(code), &state)) return at;
    last = code;
    at = next;
  }
  return at;
}

std::string decode_base64(std::string_view text, const std::string& file) {
  const auto digit = [](char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : (c == '/' ? 63 : -1);
  };
  const auto fail = [&]() { throw FormatError(file, "precompiled_charsmap is not base64"); };
  if (text.size() % 4 != 0) fail();
  size_t length = text.size();
  while (length > 0 && text.size() - length < 2 && text[length - 1] == '=') --length;
  std::string out;
  out.reserve(length / 4 * 3 + 3);
  std::uint32_t bits = 0;
  int held = 0;
  for (size_t i = 0; i < length; ++i) {
    const int value = digit(text[i]);
    if (value < 0) fail();
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<char>(bits >> held & 0xFF));
  }
  return out;
}

/// Real maps have some 30 000 units and keys of a few characters.
constexpr size_t kMaxUnits = size_t{1} << 20, kMaxKey = 1024;

/// SentencePiece's map of characters: a double array over the bytes of what is replaced, and the replacements, each
/// ended by a zero byte. All of it that can be reached is checked once, so that looking up needs no checks.
class Charsmap : public Normalizer {
 public:
  Charsmap(std::string_view bytes, const std::string& file) : file_(file) {
    const auto u32 = [&](size_t at) {
      std::uint32_t value = 0;
      for (size_t k = 0; k < 4; ++k)
        value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + k])) << 8 * k;
      return value;
    };
    if (bytes.size() < 8) fail("it has no tree");
    const size_t units = u32(0) / 4;
    if (units > kMaxUnits) fail(fmt::format("its tree has {} units, more than {}", units, kMaxUnits));
    if (units == 0 || units > (bytes.size() - 4) / 4)
      fail(fmt::format("its tree of {} bytes does not fit into {} bytes", u32(0), bytes.size()));
    units_.reserve(units);
    for (size_t i = 0; i < units; ++i) units_.push_back(u32(4 + 4 * i));
    texts_ = bytes.substr(4 + 4 * units);
    if (!io::valid_utf8(texts_)) fail("its replacements are not UTF-8");
    texts_.push_back('\0');
    check();
  }

  void apply(std::string& text, bool& leading) const override;

 private:
  static std::uint32_t offset(std::uint32_t unit) { return (unit >> 10) << ((unit & 512) >> 6); }
  static bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
  static std::uint32_t label(std::uint32_t unit) { return unit & 0x800000FF; }

  [[noreturn]] void fail(const std::string& what) const {
    throw FormatError(file_, "precompiled_charsmap is damaged: " + what);
  }
  /// Everything that can be reached from the root stays inside and comes to an end.
  void check() const;
  /// Returns the unit from which the node's children are counted.
  std::uint32_t check_node(std::uint32_t node) const;
  void check_leaf(std::uint32_t unit) const;
  /// The replacement of the shortest beginning of `text` that has one (as the tokenizers library has it), or null.
  const char* find(std::string_view text) const;

  std::vector<std::uint32_t> units_;
  std::string texts_;
  std::string file_;
};

void Charsmap::check() const {
  enum : std::uint8_t { kNew, kOpen, kDone };
  struct Step {
    std::uint32_t node, base, byte;  // the next byte to try
  };
  std::vector<std::uint8_t> state(units_.size(), kNew);
  std::vector<Step> path = {{0, check_node(0), 0}};
  state[0] = kOpen;
  while (!path.empty()) {
    Step& step = path.back();
    // The SentencePiece library follows zero bytes too.
    while (step.byte < 256 && label(units_[step.base ^ step.byte]) != step.byte) ++step.byte;
    if (step.byte == 256) {
      state[step.node] = kDone;
      path.pop_back();
      continue;
    }
    const std::uint32_t child = step.base ^ step.byte++;
    if (state[child] == kDone) continue;
    // A text may then match without end.
    if (state[child] == kOpen || path.size() == kMaxKey) fail(fmt::format("unit {} leads to endless keys", step.node));
    state[child] = kOpen;
    path.push_back({child, check_node(child), 0});
  }
}

std::uint32_t Charsmap::check_node(std::uint32_t node) const {
  const std::uint32_t base = node ^ offset(units_[node]);
  if ((base | 255u) >= units_.size()) fail(fmt::format("unit {} points outside", node));
  if (has_leaf(units_[node])) check_leaf(units_[base]);
  return base;
}

void Charsmap::check_leaf(std::uint32_t unit) const {
  const std::uint32_t at = unit & 0x7FFFFFFF;
  if (at >= texts_.size() || (texts_[at] & 0xC0) == 0x80) fail(fmt::format("a replacement at {} does not exist", at));
}

const char* Charsmap::find(std::string_view text) const {
  std::uint32_t at = offset(units_[0]);
  for (const char byte : text) {
    const auto wanted = static_cast<unsigned char>(byte);
    if (wanted == 0) break;
    at ^= wanted;
    const std::uint32_t unit = units_[at];
    if (label(unit) != wanted) break;
    at ^= offset(unit);
    if (has_leaf(unit)) return texts_.data() + (units_[at] & 0x7FFFFFFF);
  }
  return nullptr;
}

void Charsmap::apply(std::string& text, bool& /*leading*/) const {
  // A replacement that drops the first character does not tell the alignment of the library, so `leading` stays.
  constexpr size_t kWholeBelow = 6;  // longer clusters are always looked up character by character
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    check_normalized_size(text.size(), out.size(), file_);
    const size_t end = grapheme_end(text, at);
    const std::string_view cluster = std::string_view(text).substr(at, end - at);
    const char* whole = cluster.size() < kWholeBelow ? find(cluster) : nullptr;
    if (whole != nullptr) {
      out += whole;
      at = end;
      continue;
    }
    while (at < end) {
      const size_t begin = at;
      next_code(text, at);
      const std::string_view character = std::string_view(text).substr(begin, at - begin);
      if (const char* one = find(character))
        out += one;
      else
        out += character;
    }
  }
  text = std::move(out);
}

}  // namespace

std::unique_ptr<const Normalizer> make_precompiled(std::string_view base64, const std::string& file) {
  return std::make_unique<Charsmap>(decode_base64(base64, file), file);
}

void check_charsmap(std::string_view bytes, const std::string& file) { const Charsmap checked(bytes, file); }

}  // namespace weft::text
