#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "text/unicode.h"

using namespace weft::text;

namespace {

int count_codes(const std::function<bool(char32_t)>& holds) {
  int count = 0;
  for (char32_t c = 0; c < 0x110000; ++c)
    if ((c < 0xD800 || c > 0xDFFF) && holds(c)) ++count;
  return count;
}

}  // namespace

TEST_CASE("text/unicode: the classes have as many members as those of tokenizers 0.23.3") {
  CHECK(count_codes([](char32_t c) { return in_category(c, kLetters); }) == 141028);
  CHECK(count_codes([](char32_t c) { return in_category(c, kNumbers); }) == 1911);
  CHECK(count_codes([](char32_t c) { return in_category(c, kMarks); }) == 2501);
  CHECK(count_codes([](char32_t c) { return in_category(c, kPunctuation); }) == 855);
  CHECK(count_codes([](char32_t c) { return in_category(c, kSymbols); }) == 8514);
  CHECK(count_codes([](char32_t c) { return in_category(c, kSeparators); }) == 19);
  CHECK(count_codes(is_onig_word) == 144671);
  CHECK(count_codes(is_word_character) == 144667);
  CHECK(count_codes(is_white_space) == 25);
  CHECK(count_codes(is_punctuation) == 726);
  CHECK(count_codes(is_numeric) == 1924);
  CHECK(count_codes(is_combining_mark) == 2097);
  CHECK(count_codes(is_nonspacing_mark) == 1567);
  CHECK(count_codes([](char32_t c) {
          std::string same, lower;
          append_code(same, c);
          append_lower(lower, c);
          return same != lower;
        }) == 1488);
}

TEST_CASE("text/unicode: code points forward and backward") {
  const std::string text = "a\u00e9\u4e2d\U0001F642";
  size_t at = 0;
  for (const char32_t expected : {U'a', U'\u00e9', U'\u4e2d', U'\U0001F642'}) CHECK(next_code(text, at) == expected);
  CHECK(at == text.size());
  for (const char32_t expected : {U'\U0001F642', U'\u4e2d', U'\u00e9', U'a'})
    CHECK(previous_code(text, at) == expected);
  CHECK(at == 0);
}

TEST_CASE("text/unicode: what is not UTF-8 is replaced, one mark for each wrong part") {
  CHECK(repair_utf8("a\xFF\xFEz") == "a\uFFFD\uFFFDz");
  CHECK(repair_utf8("\xE4\xB8") == "\uFFFD");
  CHECK(repair_utf8("\xE4\xB8 \xE4\xB8\xAD") == "\uFFFD \u4e2d");
  CHECK(repair_utf8("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");
  CHECK(repair_utf8("\xF0\x9F\x99\xF0\x9F\x99\x82") == "\uFFFD\U0001F642");
}
