#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "eval/answer_text.h"
#include "eval/bootstrap.h"
#include "io/json.h"
#include "support/golden_models.h"

using weft::Value;
using weft::data::Example;
using weft::data::Kind;
using weft::eval::choose_metrics;
using weft::eval::ExampleResult;
using weft::eval::find_metric;
using weft::eval::lower_case;
using weft::eval::measure;
using weft::eval::stripped;
using weft::eval::Verdict;
using weft::test::golden_models;
using weft::test::integers;

namespace {

// float64 arithmetic in another order.
constexpr double kDoubleTolerance = 1e-12;

/// One part of what make_metrics.py wrote.
std::vector<Value> metric_golden(const std::string& part) {
  return weft::io::read_json(golden_models().parent_path() / "metrics" / "golden.json").find(part)->list;
}

Verdict judged(const std::string& metric, const std::string& said, const std::vector<std::string>& right) {
  Example example;
  example.completion = right.front();
  if (right.size() > 1) example.answers = right;
  ExampleResult result;
  result.answer = said;
  return find_metric(metric).judge(example, result);
}

}  // namespace

TEST_CASE("eval/metrics: normalized match is LoRAHub's own, pair by pair") {
  const std::vector<Value> rows = metric_golden("normalized");
  CHECK(rows.size() > 30);
  for (const Value& row : rows) {
    const std::string said = row.find("said")->scalar, right = row.find("right")->scalar;
    CAPTURE(said);
    CAPTURE(right);
    CHECK(judged("normalized_match", said, {right}).score == *row.find("value")->number());
    CHECK(judged("normalized_match", said, {"something else", right}).score == *row.find("value")->number());
  }
}

TEST_CASE("eval/metrics: ROUGE-L is rouge-score's, of several answers the best") {
  for (const Value& row : metric_golden("rouge_l")) {
    std::vector<std::string> right;
    for (const Value& one : row.find("right")->list) right.push_back(one.scalar);
    const std::string said = row.find("said")->scalar;
    CAPTURE(said);
    CHECK(judged("rouge_l", said, right).score ==
          doctest::Approx(*row.find("value")->number()).epsilon(kDoubleTolerance));
  }
}

TEST_CASE("eval/metrics: exact match leaves white space at the ends aside and nothing else") {
  CHECK(judged("exact_match", " a b\n", {"a b"}).score == 1.0);
  CHECK(judged("exact_match", "a b", {"\u3000a b "}).score == 1.0);
  CHECK(judged("exact_match", "a  b", {"a b"}).score == 0.0);
  CHECK(judged("exact_match", "A b", {"a b"}).score == 0.0);
  CHECK(judged("exact_match", "a b.", {"a b"}).score == 0.0);
  CHECK(judged("exact_match", "c", {"a b", "c"}).score == 1.0);
  CHECK(judged("exact_match", " c", {"a b", "c"}).prediction == " c");
}

TEST_CASE("eval/metrics: accuracy and F1 are scikit-learn's") {
  for (const Value& row : metric_golden("f1")) {
    const auto truth = integers(row.find("truth")), said = integers(row.find("said"));
    std::vector<ExampleResult> results(truth.size());
    for (size_t i = 0; i < truth.size(); ++i) results[i].label = truth[i], results[i].predicted_label = said[i];
    const std::vector<std::string> names = {"accuracy", "f1", "f1_weighted", "f1_micro"};
    const auto found = measure(choose_metrics(names, Kind::kLabel), std::vector<Example>(truth.size()), results,
                               static_cast<size_t>(*row.find("labels")->integer()), 0, 1);
    for (size_t m = 0; m < names.size(); ++m) {
      CAPTURE(names[m]);
      CHECK(found[m].value == doctest::Approx(*row.find(names[m])->number()).epsilon(kDoubleTolerance));
      CHECK(found[m].low <= found[m].high);
    }
  }
}

TEST_CASE("eval/metrics: choices per token and per character, of equals the first") {
  Example example;
  example.choices = {" ab", " \u00e9\u00e9\u00e9\u00e9", " c"};
  example.answer = 1;
  ExampleResult result;
  result.choices = {-1.0, -1.2, -0.9};
  CHECK(find_metric("choice").judge(example, result).prediction == " c");
  CHECK(find_metric("choice").judge(example, result).score == 0.0);
  // -0.5, -0.3 (four characters, eight bytes), -0.9
  CHECK(find_metric("acc_norm").judge(example, result).prediction == example.choices[1]);
  CHECK(find_metric("acc_norm").judge(example, result).score == 1.0);
  result.choices = {-1.0, -1.0, -1.0};
  CHECK(find_metric("acc").judge(example, result).prediction == " ab");
}

TEST_CASE("eval/metrics: names of lm-evaluation-harness are the same metrics") {
  CHECK(find_metric("acc").name == "choice");
  CHECK(find_metric("acc_norm").name == "choice_normalized");
  CHECK(find_metric("rougeL").name == "rouge_l");
}

TEST_CASE("eval/answer_text: white space and case as Python has them") {
  CHECK(stripped("") == "");
  CHECK(stripped(" \t\n") == "");
  CHECK(stripped("\u2003x y\u00a0") == "x y");
  CHECK(stripped("\u200bx") == "\u200bx");
  CHECK(lower_case("\u039f\u0394\u039f\u03a3") == "\u03bf\u03b4\u03bf\u03c2");
  CHECK(lower_case("\u03a3") == "\u03c3");
  CHECK(lower_case("\u0391\u03a3\u0391") == "\u03b1\u03c3\u03b1");
}
