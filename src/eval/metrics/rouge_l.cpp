#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "eval/answer_text.h"
#include "eval/metrics/table.h"

namespace weft::eval {

namespace {

/// Runs of ASCII letters and digits in lower case, as the rouge-score package splits without its stemmer.
std::vector<std::string> rouge_words(std::string_view text) {
  std::vector<std::string> out;
  bool inside = false;
  for (const char c : lower_case(text)) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (word && !inside) out.emplace_back();
    if (word) out.back() += c;
    inside = word;
  }
  return out;
}

/// Length of the longest common subsequence; memory for one row.
size_t common_words(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<size_t> row(b.size() + 1, 0);
  for (const std::string& word : a) {
    size_t diagonal = 0;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = word == b[j - 1] ? diagonal + 1 : std::max(above, row[j - 1]);
      diagonal = above;
    }
  }
  return row.back();
}

double rouge_l_of(std::string_view right, std::string_view said) {
  const std::vector<std::string> target = rouge_words(right), prediction = rouge_words(said);
  const auto common = static_cast<double>(common_words(prediction, target));
  if (common == 0) return 0.0;
  const double precision = common / static_cast<double>(prediction.size());
  const double recall = common / static_cast<double>(target.size());
  return 2 * precision * recall / (precision + recall);
}

}  // namespace

/// ROUGE-L (Lin 2004) as the rouge-score package 0.1.2 computes it: the F-measure of one sequence of words.
Metric rouge_l_metric() {
  Metric out = exact_match_metric();
  out.name = "rouge_l";
  out.doc = "mean ROUGE-L: F-measure of the longest common subsequence of words, no stemming";
  out.other_name = "rougeL";
  out.judge = [](const data::Example& example, const ExampleResult& result) -> Verdict {
    double best = 0;
    for (const std::string_view right : right_answers(example)) best = std::max(best, rouge_l_of(right, result.answer));
    return {result.answer, best};
  };
  return out;
}

}  // namespace weft::eval
