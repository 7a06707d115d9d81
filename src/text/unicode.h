#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::text {

// Code points and their classes as the tokenizers library sees them. Its parts know different versions of Unicode, so
// the tables are our own (unicode_data.cpp) and not those of the Unicode library of the system.

/// General categories of Unicode 16, the version of the library's regular expressions.
enum class Category : std::uint8_t {
  kLu,
  kLl,
  kLt,
  kLm,
  kLo,
  kMn,
  kMc,
  kMe,
  kNd,
  kNl,
  kNo,
  kPc,
  kPd,
  kPs,
  kPe,
  kPi,
  kPf,
  kPo,
  kSm,
  kSc,
  kSk,
  kSo,
  kZs,
  kZl,
  kZp,
  kCc,
  kCf,
  kCo,
  kCn
};
using CategoryMask = std::uint32_t;
constexpr CategoryMask mask_of(Category c) { return CategoryMask{1} << static_cast<unsigned>(c); }
inline constexpr CategoryMask kLetters = 0x1F, kMarks = 0x7U << 5, kNumbers = 0x7U << 8, kPunctuation = 0x7FU << 11,
                              kSymbols = 0xFU << 18, kSeparators = 0x7U << 22, kOthers = 0xFU << 25;

/// The code point at byte `at` of valid UTF-8; moves `at` behind it.
inline char32_t next_code(std::string_view text, size_t& at) {
  const auto byte = [&](size_t k) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + k])); };
  const char32_t lead = byte(0);
  char32_t code = lead;
  size_t length = 1;
  if (lead >= 0xF0)
    code = (lead & 0x07U) << 18U | (byte(1) & 0x3FU) << 12U | (byte(2) & 0x3FU) << 6U | (byte(3) & 0x3FU), length = 4;
  else if (lead >= 0xE0)
    code = (lead & 0x0FU) << 12U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU), length = 3;
  else if (lead >= 0xC0)
    code = (lead & 0x1FU) << 6U | (byte(1) & 0x3FU), length = 2;
  at += length;
  return code;
}
/// The code point that ends at byte `end` of valid UTF-8 (end > 0); moves `end` to its start.
inline char32_t previous_code(std::string_view text, size_t& end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U);
  size_t at = end;
  return next_code(text, at);
}
/// Appends the UTF-8 form.
void append_code(std::string& out, char32_t code);

Category category(char32_t code);
inline bool in_category(char32_t code, CategoryMask mask) {
  return (mask >> static_cast<unsigned>(category(code)) & 1U) != 0;
}

/// Property White_Space; the same everywhere.
bool is_white_space(char32_t code);
/// ASCII punctuation, and P* of the version that pre-tokenizers use.
bool is_punctuation(char32_t code);
/// Mn, of the version that BertNormalizer uses.
bool is_nonspacing_mark(char32_t code);
/// M*, of the version that StripAccents uses.
bool is_combining_mark(char32_t code);
/// N*, of the version that Digits uses.
bool is_numeric(char32_t code);
/// Rust's regex class \w: Alphabetic, M*, Nd, Pc, join controls.
bool is_word_character(char32_t code);
/// Oniguruma's class \w: like is_word_character(), with superscript digits and fractions of Latin-1, without join
/// controls.
bool is_onig_word(char32_t code);
/// Cc, Cf, Co: what BertNormalizer takes for control characters.
bool is_control(char32_t code);
/// True for code points that the library's normalisation forms leave alone and take for starters because they are
/// younger than it.
bool is_inert(char32_t code);
/// Appends the lower case form, which may be two code points.
void append_lower(std::string& out, char32_t code);

/// Replaces what is not UTF-8 by U+FFFD, one for each maximal wrong part.
std::string repair_utf8(std::string_view text);

}  // namespace weft::text
