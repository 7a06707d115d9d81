#include "text/unicode.h"

#include <algorithm>
#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include "io/utf8.h"
#include "text/unicode_data.h"

namespace weft::text {

namespace {

constexpr size_t kCodes = 0x110000;
constexpr size_t kPage = 256;
constexpr unsigned kCategoryBits = 5;

/// Flags behind the category's five bits.
enum CodeFlag : std::uint16_t {
  kFlagPunctuation = 1 << 5,
  kFlagNonspacing = 1 << 6,
  kFlagCombining = 1 << 7,
  kFlagNumeric = 1 << 8,
  kFlagWord = 1 << 9,
  kFlagControl = 1 << 10,
  kFlagInert = 1 << 11,
  kFlagLower = 1 << 12,  // has another lower case
};

/// Properties of all code points in two stages: equal pages are stored once. Built from the ranges at first use.
class CodeTable {
 public:
  CodeTable();
  std::uint16_t operator[](char32_t code) const { return pages_[index_[code / kPage]][code % kPage]; }

 private:
  std::array<std::uint16_t, kCodes / kPage> index_{};
  std::vector<std::array<std::uint16_t, kPage>> pages_;
};

bool ascii_punctuation(size_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/// What the general category alone says.
std::uint16_t flags_of(unsigned category) {
  const CategoryMask mask = CategoryMask{1} << category;
  std::uint16_t flags = 0;
  if ((mask & kPunctuation) != 0) flags |= kFlagPunctuation;
  if (mask == mask_of(Category::kMn)) flags |= kFlagNonspacing;
  if ((mask & kMarks) != 0) flags |= kFlagCombining;
  if ((mask & kNumbers) != 0) flags |= kFlagNumeric;
  if ((mask & (kLetters | kMarks | mask_of(Category::kNd) | mask_of(Category::kNl) | mask_of(Category::kPc))) != 0)
    flags |= kFlagWord;
  if ((mask & kOthers & ~mask_of(Category::kCn)) != 0) flags |= kFlagControl;
  return static_cast<std::uint16_t>(flags | category);
}

CodeTable::CodeTable() {
  std::vector<std::uint16_t> all(kCodes);
  for (size_t i = 0; i < kCategoryRunsSize; ++i) {
    const size_t end = i + 1 < kCategoryRunsSize ? kCategoryRuns[i + 1] >> kCategoryBits : kCodes;
    std::fill(all.begin() + (kCategoryRuns[i] >> kCategoryBits), all.begin() + static_cast<std::ptrdiff_t>(end),
              flags_of(kCategoryRuns[i] & 31U));
  }
  const auto flip = [&](const CodeRange* ranges, size_t count, CodeFlag flag) {
    for (size_t i = 0; i < count; ++i)
      for (size_t c = ranges[i].first; c <= ranges[i].last; ++c) all[c] = static_cast<std::uint16_t>(all[c] ^ flag);
  };
  for (size_t c = 0; c < 128; ++c)
    if (ascii_punctuation(c)) all[c] |= kFlagPunctuation;
  flip(kPunctuationFlips, kPunctuationFlipsSize, kFlagPunctuation);
  flip(kNonspacingFlips, kNonspacingFlipsSize, kFlagNonspacing);
  flip(kCombiningFlips, kCombiningFlipsSize, kFlagCombining);
  flip(kNumericFlips, kNumericFlipsSize, kFlagNumeric);
  flip(kWordFlips, kWordFlipsSize, kFlagWord);
  flip(kControlFlips, kControlFlipsSize, kFlagControl);
  flip(kInert, kInertSize, kFlagInert);
  for (size_t i = 0; i < kLowerRunsSize; ++i)
    for (size_t c = kLowerRuns[i].first; c <= kLowerRuns[i].last; c += static_cast<size_t>(kLowerRuns[i].step))
      all[c] |= kFlagLower;
  std::unordered_map<std::string_view, std::uint16_t> known;
  for (size_t page = 0; page < index_.size(); ++page) {
    const std::string_view bytes(reinterpret_cast<const char*>(all.data() + page * kPage),
                                 kPage * sizeof(std::uint16_t));
    const auto [found, added] = known.emplace(bytes, static_cast<std::uint16_t>(pages_.size()));
    if (added)
      std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(page * kPage), kPage, pages_.emplace_back().begin());
    index_[page] = found->second;
  }
}

const CodeTable& code_table() {
  static const CodeTable table;
  return table;
}

bool has_flag(char32_t code, CodeFlag flag) { return (code_table()[code] & flag) != 0; }

}  // namespace

void append_code(std::string& out, char32_t code) { io::append_utf8(out, code); }

Category category(char32_t code) { return static_cast<Category>(code_table()[code] & 31U); }

bool is_white_space(char32_t code) {
  if (code < 0x80) return code == ' ' || (code >= 0x09 && code <= 0x0D);
  return code == 0x85 || in_category(code, kSeparators);
}

bool is_punctuation(char32_t code) { return has_flag(code, kFlagPunctuation); }
bool is_nonspacing_mark(char32_t code) { return has_flag(code, kFlagNonspacing); }
bool is_combining_mark(char32_t code) { return has_flag(code, kFlagCombining); }
bool is_numeric(char32_t code) { return has_flag(code, kFlagNumeric); }
bool is_word_character(char32_t code) { return has_flag(code, kFlagWord); }
bool is_control(char32_t code) { return has_flag(code, kFlagControl); }
bool is_inert(char32_t code) { return has_flag(code, kFlagInert); }

bool is_onig_word(char32_t code) {
  if (code == 0xB2 || code == 0xB3 || code == 0xB9 || (code >= 0xBC && code <= 0xBE)) return true;
  return is_word_character(code) && code != 0x200C && code != 0x200D;
}

void append_lower(std::string& out, char32_t code) {
  if (code == 0x130) return void(out += "i\u0307");
  if (!has_flag(code, kFlagLower)) return append_code(out, code);
  const LowerRun* const end = kLowerRuns + kLowerRunsSize;
  // Runs with steps overlap: the last run that covers the code point need not be the last that begins before it.
  const LowerRun* run =
      std::upper_bound(kLowerRuns, end, code, [](char32_t c, const LowerRun& r) { return c < r.first; });
  while (run != kLowerRuns) {
    --run;
    if (code <= run->last && (code - run->first) % static_cast<std::uint32_t>(run->step) == 0)
      return append_code(out, static_cast<char32_t>(static_cast<std::int64_t>(code) + run->delta));
  }
  append_code(out, code);
}

std::string repair_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const auto byte = [&](size_t k) { return at + k < text.size() ? static_cast<unsigned char>(text[at + k]) : 0U; };
    const unsigned lead = byte(0);
    const size_t want = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    size_t good = want > 0 ? 1 : 0;
    for (; good > 0 && good < want; ++good) {
      const unsigned low = good > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
      const unsigned high = good > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
      if (byte(good) < low || byte(good) > high) break;
    }
    if (want > 0 && good == want) {
      out.append(text, at, want);
      at += want;
    } else {
      out += "\xEF\xBF\xBD";
      at += std::max<size_t>(good, 1);
    }
  }
  return out;
}

}  // namespace weft::text
