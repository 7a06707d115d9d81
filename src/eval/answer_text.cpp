#include "eval/answer_text.h"

#include "text/unicode.h"

namespace weft::eval {

namespace {

using text::Category;
using text::mask_of;

constexpr char32_t kCapitalSigma = 0x3A3;

/// Python counts the four information separators too.
bool is_blank(char32_t code) { return text::is_white_space(code) || (code >= 0x1C && code <= 0x1F); }

/// Unicode's Case_Ignorable: marks, format characters, and what may stand inside a word.
bool is_case_ignorable(char32_t code) {
  constexpr auto kMask = mask_of(Category::kMn) | mask_of(Category::kMe) | mask_of(Category::kCf) |
                         mask_of(Category::kLm) | mask_of(Category::kSk);
  static const std::u32string kInsideWords =
      U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55"
      U"\uFF07\uFF0E\uFF1A";
  return text::in_category(code, kMask) || kInsideWords.find(code) != std::u32string::npos;
}

bool is_cased(char32_t code) {
  return text::in_category(code, mask_of(Category::kLu) | mask_of(Category::kLl) | mask_of(Category::kLt));
}

/// Unicode's Final_Sigma: a letter with case before it and none behind, what is case-ignorable skipped.
bool is_final_sigma(std::string_view text, size_t begin, size_t end) {
  bool before = false;
  while (begin > 0) {
    const char32_t code = text::previous_code(text, begin);
    if (is_case_ignorable(code)) continue;
    before = is_cased(code);
    break;
  }
  while (before && end < text.size()) {
    const char32_t code = text::next_code(text, end);
    if (!is_case_ignorable(code)) return !is_cased(code);
  }
  return before;
}

}  // namespace

std::vector<std::string_view> right_answers(const data::Example& example) {
  if (example.answer >= 0) return {example.choices[static_cast<size_t>(example.answer)]};
  if (example.answers.empty()) return {example.completion};
  return {example.answers.begin(), example.answers.end()};
}

std::string answer_misfit(data::Kind kind) {
  if (kind == data::Kind::kCompletion || kind == data::Kind::kChoice) return "";
  return "it compares a generated answer, and needs examples with 'prompt' and 'completion'";
}

std::string_view stripped(std::string_view text) {
  size_t begin = 0, end = text.size();
  while (begin < end) {
    size_t next = begin;
    if (!is_blank(text::next_code(text, next))) break;
    begin = next;
  }
  while (end > begin) {
    size_t before = end;
    if (!is_blank(text::previous_code(text, before))) break;
    end = before;
  }
  return text.substr(begin, end - begin);
}

std::string lower_case(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t code = text::next_code(text, at);
    if (code == kCapitalSigma && is_final_sigma(text, begin, at))
      out += "\u03C2";
    else
      text::append_lower(out, code);
  }
  return out;
}

}  // namespace weft::eval
