#include "eval/bootstrap.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "eval/token_store.h"
#include "support/error_text.h"

using weft::UsageError;
using weft::data::Kind;
using weft::eval::choose_metrics;
using weft::eval::ExampleResult;
using weft::eval::measure;
using weft::eval::MetricValue;
using weft::test::error_text;
using weft::test::says;

namespace {

std::vector<ExampleResult> labelled(size_t right, size_t wrong) {
  std::vector<ExampleResult> out;
  for (size_t i = 0; i < right + wrong; ++i) {
    ExampleResult result{.nll = 0.5, .tokens = 1};
    result.label = 0;
    result.predicted_label = i < right ? 0 : 1;
    out.push_back(result);
  }
  return out;
}

/// With two labels, and examples that nothing looks at.
std::vector<MetricValue> measured(const std::vector<weft::eval::Metric>& metrics,
                                  const std::vector<ExampleResult>& results, std::uint64_t seed, int threads) {
  return measure(metrics, std::vector<weft::data::Example>(results.size()), results, 2, seed, threads);
}

}  // namespace

TEST_CASE("eval/bootstrap: loss weighs tokens, not examples; perplexity is its exponential") {
  const std::vector<ExampleResult> results = {{.nll = 1.0, .tokens = 1}, {.nll = 10.0, .tokens = 4}};
  const auto values = measured(choose_metrics({"perplexity", "loss"}, Kind::kText), results, 0, 1);
  REQUIRE(values.size() == 2);
  CHECK(values[0].name == "perplexity");
  CHECK(values[1].value == 11.0 / 5.0);
  CHECK(values[0].value == std::exp(11.0 / 5.0));
  // A resample holds the first example twice, both, or the second twice; each happens often enough to reach the tails.
  CHECK(values[1].low == 1.0);
  CHECK(values[1].high == 2.5);
}

TEST_CASE("eval/bootstrap: the interval of a share is the binomial one") {
  const auto metrics = choose_metrics({"accuracy"}, Kind::kLabel);
  const MetricValue found = measured(metrics, labelled(300, 100), 0, 1).front();
  CHECK(found.value == 0.75);
  // Normal approximation: 0.75 ± 1.96 sqrt(0.75 · 0.25 / 400) = 0.75 ± 0.0424. The quantile of 1000 resamples has a
  // standard error of 0.0018 (sqrt(0.025 · 0.975 / 1000) over the normal density there); four of those are allowed.
  CHECK(std::abs(found.low - 0.7076) < 0.008);
  CHECK(std::abs(found.high - 0.7924) < 0.008);
}

TEST_CASE("eval/bootstrap: the same for any number of threads, another for another seed") {
  const auto metrics = choose_metrics({"accuracy", "loss"}, Kind::kLabel);
  std::vector<ExampleResult> results = labelled(33, 21);
  for (size_t i = 0; i < results.size(); ++i) results[i].nll = std::sin(static_cast<double>(i)) + 2;
  const auto one = measured(metrics, results, 7, 1), two = measured(metrics, results, 7, 2);
  const auto other = measured(metrics, results, 8, 2);
  for (size_t m = 0; m < 2; ++m) {
    CHECK(one[m].low == two[m].low);
    CHECK(one[m].high == two[m].high);
    CHECK(one[m].low <= one[m].value);
    CHECK(one[m].value <= one[m].high);
  }
  CHECK((one[1].low != other[1].low || one[1].high != other[1].high));
}

TEST_CASE("eval/bootstrap: one example has no spread") {
  const auto values = measured(choose_metrics({}, Kind::kLabel), labelled(1, 0), 0, 2);
  REQUIRE(values.size() == 2);
  CHECK(values[0].name == "accuracy");
  CHECK(values[0].low == 1.0);
  CHECK(values[0].high == 1.0);
  CHECK(values[1].name == "loss");
  CHECK(values[1].low == values[1].high);
}

TEST_CASE("eval/bootstrap: a perplexity beyond doubles is infinite, not undefined") {
  const auto values = measured(choose_metrics({"perplexity"}, Kind::kText), {{.nll = 1e6, .tokens = 1}}, 0, 1);
  CHECK(values[0].value == std::numeric_limits<double>::infinity());
  CHECK(values[0].high == std::numeric_limits<double>::infinity());
}

TEST_CASE("eval/metrics: unknown, unfit and doubled ones are refused, saying why") {
  CHECK(error_text<UsageError>([] { choose_metrics({"los"}, Kind::kText); }) ==
        "unknown metric 'los'; did you mean 'loss'?");
  CHECK(error_text<UsageError>([] { choose_metrics({"zzzzzz"}, Kind::kText); }) ==
        "unknown metric 'zzzzzz'; expected one of loss, perplexity, exact_match, normalized_match, rouge_l, choice, "
        "choice_normalized, accuracy, f1, f1_weighted, f1_micro");
  CHECK(error_text<UsageError>([] {
          choose_metrics({"loss", "accuracy"}, Kind::kCompletion);
        }) == "metric 'accuracy' does not fit prompt/completion examples: it needs examples with 'text' and 'label'");
  CHECK(says(error_text<UsageError>([] { choose_metrics({"perplexity"}, Kind::kLabel); }), "does not fit text/label"));
  CHECK(says(error_text<UsageError>([] { choose_metrics({"loss", "loss"}, Kind::kText); }), "given twice"));
  CHECK(choose_metrics({}, Kind::kCompletion).size() == 2);
}

TEST_CASE("eval/tokens: sequences come back as they were put in") {
  weft::eval::TokenStore store;
  store.add({3, 2, 1});
  store.add({});
  store.add({7});
  CHECK(store.get(0) == std::vector<std::int64_t>{3, 2, 1});
  CHECK(store.get(1).empty());
  CHECK(store.get(2) == std::vector<std::int64_t>{7});
  CHECK(store.length(0) == 3);
  CHECK(store.length(1) == 0);
}
