#include "text/char_set.h"

#include <algorithm>

namespace weft::text {

void CharSet::add_space() {
  add(kSeparators);
  add(0x09, 0x0D);
  add(0x85, 0x85);
}

void CharSet::add(const CharSet& other, bool negated) { sets_.emplace_back(other, negated); }

void CharSet::finish() {
  for (char32_t c = 0; c < 256; ++c) low_[c] = compute(c);
}

bool CharSet::compute(char32_t code) const {
  const auto holds = [&] {
    if (in_category(code, categories_)) return true;
    if (std::any_of(ranges_.begin(), ranges_.end(), [&](const auto& r) { return r.first <= code && code <= r.second; }))
      return true;
    if (word_ && is_onig_word(code)) return true;
    if (word_in_brackets_ && is_onig_word(code) && is_word_character(code)) return true;
    return std::any_of(sets_.begin(), sets_.end(), [&](const auto& s) { return s.first.compute(code) != s.second; });
  };
  return holds() != negated_;
}

}  // namespace weft::text
