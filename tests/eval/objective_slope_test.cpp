#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "support/objective_bench.h"

namespace {

using weft::UsageError;
using weft::data::Examples;
using weft::data::Kind;
using weft::eval::Normalization;
using weft::eval::Objective;
using weft::eval::ObjectiveOptions;
using weft::eval::Slope;
using weft::eval::Weights;
using weft::nn::Rule;
using weft::test::drawn_candidates;
using weft::test::error_text;
using weft::test::ObjectiveBench;
using weft::test::says;

constexpr double kStep = 0.02, kSmall = 0.05;  // of a weight; factors of the adapters: less curvature
// Differences of float32 losses, each right to 1e-6 of it, over such a step.
constexpr double kSlopeTolerance = 1e-4;
// float32 forward passes, with and without what a gradient needs.
constexpr double kSlopeScoreTolerance = 1e-5;

/// Central differences of fourth order.
Weights differences(const Objective& objective, const Weights& at, const std::vector<size_t>& part) {
  Weights out;
  for (size_t i = 0; i < at.size(); ++i) {
    std::vector<Weights> around(4, at);
    around[0][i] += kStep, around[1][i] -= kStep, around[2][i] += 2 * kStep, around[3][i] -= 2 * kStep;
    const auto found = objective.evaluate(around, part);
    out.push_back((8 * (found[0].score - found[1].score) - (found[2].score - found[3].score)) / (12 * kStep));
  }
  return out;
}

void check_slope(const Objective& objective, const Weights& at, const std::vector<size_t>& part = {}) {
  const Slope slope = objective.slope(at, part);
  CHECK(slope.score == doctest::Approx(objective.evaluate({at}, part)[0].score).epsilon(kSlopeScoreTolerance));
  const Weights wanted = differences(objective, at, part);
  REQUIRE(slope.gradient.size() == wanted.size());
  const double unit = std::max(1.0, std::abs(slope.score));
  for (size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(slope.gradient[i] - wanted[i]) <= kSlopeTolerance * unit);
  }
}

}  // namespace

TEST_CASE("eval/objective: the slope is that of evaluate(), in all kinds, rules and batches") {
  const std::vector<std::pair<std::string, Kind>> kinds = {
      {"llama", Kind::kText},   {"llama", Kind::kCompletion},
      {"llama", Kind::kChoice}, {"t5_gated_silu", Kind::kCompletion},
      {"bert", Kind::kLabel},   {"bert_sentence", Kind::kLabel}};
  for (const auto& [golden, kind] : kinds) {
    CAPTURE(golden);
    const ObjectiveBench bench(golden, {3, 3, 3}, kSmall);
    const Examples examples = golden == "bert" ? weft::test::head_examples(bench) : bench.some(kind);
    for (const Rule rule : {Rule::kDelta, Rule::kFactors}) {
      CAPTURE(rule == Rule::kDelta);
      for (const std::int64_t tokens : {1, 4096})
        check_slope(bench.objective(examples, {.population_tokens = tokens}, rule), drawn_candidates(1, 3, 2)[0]);
      check_slope(bench.objective(examples, {}, rule), {0.0, 0.0, 0.0});
      check_slope(bench.objective(examples, {}, rule), {1.0, 0.0, 0.0});
      check_slope(bench.objective(examples, {}, rule, {1, 0}), drawn_candidates(1, 6, 3)[0], {0, 2});
    }
  }
}

TEST_CASE("eval/objective: the slope knows normalisations and perplexity") {
  const ObjectiveBench bench("llama", {3, 2}, kSmall);
  const Examples examples = bench.some(Kind::kCompletion);
  for (const ObjectiveOptions& options :
       {ObjectiveOptions{.normalization = Normalization::kExample},
        ObjectiveOptions{.normalization = Normalization::kLoraHub, .lorahub_batch = 2},
        ObjectiveOptions{.metric = "perplexity"}}) {
    const Objective objective = bench.objective(examples, options);
    CHECK(objective.differentiable());
    check_slope(objective, {0.3, -0.4});
    check_slope(objective, {0.3, -0.4}, {1, 2, 4});
  }
}

TEST_CASE("eval/objective: where there is no slope it says so") {
  const ObjectiveBench bench("llama", {3, 3});
  const Objective matches = bench.objective(bench.some(Kind::kCompletion), {.metric = "exact_match"});
  CHECK_FALSE(matches.differentiable());
  CHECK(says(error_text<UsageError>([&] { matches.slope({0.0, 0.0}); }), "'exact_match' has no gradient"));
  const Objective loss = bench.objective(bench.some(Kind::kCompletion));
  CHECK(says(error_text<UsageError>([&] { loss.slope({0.0}); }), "1 weights, expected 2"));
  const Slope slope = loss.slope({1e38, 1e38});
  CHECK(std::isnan(slope.score));
  REQUIRE(slope.gradient.size() == 2);
  CHECK(std::isnan(slope.gradient[0]));
}
