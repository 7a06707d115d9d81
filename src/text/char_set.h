#pragma once

#include <bitset>
#include <utility>
#include <vector>

#include "text/unicode.h"

namespace weft::text {

/// A set of code points: a character class of a regular expression.
class CharSet {
 public:
  void add(char32_t first, char32_t last) { ranges_.emplace_back(first, last); }
  void add(CategoryMask categories) { categories_ |= categories; }
  /// White_Space.
  void add_space();
  /// \w: Oniguruma takes the superscript digits and fractions of Latin-1 for word characters, but not in brackets.
  void add_word(bool in_brackets) { (in_brackets ? word_in_brackets_ : word_) = true; }
  /// All that is (not) in `other`.
  void add(const CharSet& other, bool negated);
  void negate() { negated_ = !negated_; }
  /// To be called when all is added.
  void finish();

  bool has(char32_t code) const { return code < 256 ? low_[code] : compute(code); }

 private:
  bool compute(char32_t code) const;

  std::bitset<256> low_;
  CategoryMask categories_ = 0;
  bool word_ = false, word_in_brackets_ = false, negated_ = false;
  std::vector<std::pair<char32_t, char32_t>> ranges_;
  std::vector<std::pair<CharSet, bool>> sets_;
};

}  // namespace weft::text
