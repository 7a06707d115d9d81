#include "io/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/bytes.h"
#include "io/utf8.h"
#include "weft/core/error.h"

namespace weft::io {

namespace {

/// Walks over the header text; every read is bounds checked by peek().
class HeaderScanner {
 public:
  HeaderScanner(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  Header scan() {
    Header out;
    expect('{');
    bool seen_metadata = false;
    if (!accept('}')) {
      do {
        std::string name = string();
        expect(':');
        if (name == "__metadata__") {
          if (seen_metadata) fail("duplicate key '__metadata__'");
          seen_metadata = true;
          out.metadata = metadata();
        } else {
          out.tensors.push_back(tensor(std::move(name)));
        }
      } while (accept(','));
      expect('}');
    }
    blanks();
    if (at_ != text_.size()) fail("unexpected text after the header's closing brace");
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw FormatError(file_, fmt::format("safetensors header, byte {}: {}", at_, what));
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
  }
  bool accept(char c) {
    blanks();
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (accept(c)) return;
    if (at_ >= text_.size()) fail(fmt::format("the header ends where '{}' is expected", c));
    fail(fmt::format("expected '{}'", c));
  }

  std::string string() {
    expect('"');
    const size_t start = at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
           static_cast<unsigned char>(text_[at_]) >= 32)
      ++at_;
    std::string out(text_.substr(start, at_ - start));
    while (peek() == '\\' || (at_ < text_.size() && text_[at_] != '"')) string_rest(out);
    if (at_ >= text_.size()) fail("the header ends inside a string");
    ++at_;
    if (!valid_utf8(out)) fail("a string is not valid UTF-8");
    return out;
  }
  void string_rest(std::string& out) {
    const char c = text_[at_];
    if (static_cast<unsigned char>(c) < 32) fail("control character inside a string");
    ++at_;
    if (c != '\\') return out.push_back(c);
    static constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
    const char e = peek();
    ++at_;
    if (e == 'u') return append_utf8(out, code_point());
    const size_t k = kFrom.find(e);
    if (k == std::string_view::npos || e == '\0') fail("unknown escape inside a string");
    out.push_back(kTo[k]);
  }
  std::uint32_t hex4() {
    std::uint32_t out = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      if (c >= '0' && c <= '9')
        out = out * 16 + static_cast<std::uint32_t>(c - '0');
      else if ((c | 32) >= 'a' && (c | 32) <= 'f')
        out = out * 16 + static_cast<std::uint32_t>((c | 32) - 'a' + 10);
      else
        fail("bad \\u escape inside a string");
    }
    return out;
  }
  std::uint32_t code_point() {
    const std::uint32_t high = hex4();
    if (high >= 0xDC00 && high < 0xE000) fail("lone surrogate inside a string");
    if (high < 0xD800 || high >= 0xE000) return high;
    if (text_.substr(std::min(at_, text_.size()), 2) != "\\u") fail("lone surrogate inside a string");
    at_ += 2;
    const std::uint32_t low = hex4();
    if (low < 0xDC00 || low >= 0xE000) fail("lone surrogate inside a string");
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
  }

  std::int64_t integer() {
    blanks();
    const size_t start = at_;
    std::int64_t out = 0;
    while (peek() >= '0' && peek() <= '9') {
      if (__builtin_mul_overflow(out, 10, &out) || __builtin_add_overflow(out, text_[at_] - '0', &out))
        fail("a number does not fit in 64 bits");
      ++at_;
    }
    const bool leading_zero = at_ > start + 1 && text_[start] == '0';
    if (at_ == start || leading_zero || peek() == '.' || (peek() | 32) == 'e')
      fail("expected a whole number that is not negative");
    return out;
  }
  std::vector<std::int64_t> integers(size_t most) {
    std::vector<std::int64_t> out;
    expect('[');
    if (accept(']')) return out;
    do {
      if (out.size() == most) fail(fmt::format("a list has more than {} numbers", most));
      out.push_back(integer());
    } while (accept(','));
    expect(']');
    return out;
  }

  HeaderTensor tensor(std::string name) {
    HeaderTensor out;
    bool dtype = false, shape = false, offsets = false;
    const auto once = [&](bool& seen, const std::string& key) {
      if (seen) fail(fmt::format("tensor '{}': duplicate key '{}'", name, key));
      seen = true;
    };
    expect('{');
    if (!accept('}')) {
      do {
        const std::string key = string();
        expect(':');
        if (key == "dtype") {
          once(dtype, key);
          out.dtype = string();
        } else if (key == "shape") {
          once(shape, key);
          out.shape = integers(kMaxRank);
        } else if (key == "data_offsets") {
          once(offsets, key);
          const auto range = integers(2);
          if (range.size() != 2) fail(fmt::format("tensor '{}': data_offsets needs two numbers", name));
          out.begin = range[0], out.end = range[1];
        } else {
          fail(fmt::format("tensor '{}': unknown key '{}', expected dtype, shape and data_offsets", name, key));
        }
      } while (accept(','));
      expect('}');
    }
    if (!dtype || !shape || !offsets)
      fail(fmt::format("tensor '{}': needs dtype, shape and data_offsets; {} is missing", name,
                       !dtype ? "dtype" : (!shape ? "shape" : "data_offsets")));
    out.name = std::move(name);
    return out;
  }

  std::vector<std::pair<std::string, std::string>> metadata() {
    std::vector<std::pair<std::string, std::string>> out;
    expect('{');
    if (accept('}')) return out;
    do {
      std::string key = string();
      expect(':');
      blanks();
      if (peek() != '"') fail(fmt::format("__metadata__ '{}' is not a string", key));
      std::string value = string();
      out.emplace_back(std::move(key), std::move(value));
    } while (accept(','));
    expect('}');
    std::vector<std::string_view> keys;
    for (const auto& pair : out) keys.push_back(pair.first);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) fail(fmt::format("duplicate key '{}' in __metadata__", *twice));
    return out;
  }

  std::string_view text_;
  const std::string& file_;
  size_t at_ = 0;
};

}  // namespace

Header scan_header(std::string_view text, const std::string& file) { return HeaderScanner(text, file).scan(); }

}  // namespace weft::io
