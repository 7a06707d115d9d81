#include "weft/eval/screen.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "support/objective_bench.h"

namespace {

using weft::UsageError;
using weft::adapter::Pool;
using weft::data::Examples;
using weft::data::Kind;
using weft::eval::alone;
using weft::eval::choose_best;
using weft::eval::first_order;
using weft::eval::Objective;
using weft::eval::SlicedPool;
using weft::test::error_text;
using weft::test::ObjectiveBench;
using weft::test::says;

// float32 passes with adapters stacked in other numbers.
constexpr double kScreenTolerance = 1e-5;
const double kNan = std::nan("");

SlicedPool sliced(const ObjectiveBench& bench, size_t slice, std::vector<size_t>* calls = nullptr) {
  SlicedPool out;
  out.count = bench.paths.size();
  out.slice = slice;
  out.attach = [&bench, calls](size_t begin, size_t end) {
    std::vector<Pool::Source> sources;
    for (size_t i = begin; i < end; ++i) sources.push_back({bench.paths[i], "adapter-" + std::to_string(i)});
    if (calls != nullptr) calls->push_back(end - begin);
    return bench.runtime.model.attach(Pool::open(sources));
  };
  return out;
}

}  // namespace

TEST_CASE("eval/screen: the first order is the slope at zero, whole or in slices, whatever rule and groups") {
  const ObjectiveBench bench("llama", {3, 3, 3, 3, 3});
  const Examples examples = bench.some(Kind::kCompletion);
  const Objective objective = bench.objective(examples);
  const auto wanted = objective.slope({0, 0, 0, 0, 0}).gradient;
  CHECK(first_order(objective) == wanted);
  const auto grouped = first_order(bench.objective(examples, {}, weft::nn::Rule::kFactors, {0, 1}));
  std::vector<size_t> calls;
  const Objective base = objective.with_experts({});
  const auto slices = first_order(base, sliced(bench, 2, &calls));
  CHECK(calls == std::vector<size_t>{2, 2, 1});
  REQUIRE(slices.size() == 5);
  for (size_t i = 0; i < 5; ++i) {
    CHECK(grouped[i] == doctest::Approx(wanted[i]).epsilon(kScreenTolerance));
    CHECK(slices[i] == doctest::Approx(wanted[i]).epsilon(kScreenTolerance).scale(0.1));
    CHECK(std::abs(wanted[i]) > 1e-3);
  }
  CHECK(first_order(base, sliced(bench, 64)).size() == 5);
}

TEST_CASE("eval/screen: each alone is what evaluate() says of it, whole or in slices") {
  const ObjectiveBench bench("bert_sentence", {3, 2, 4});
  const Objective objective = bench.objective(bench.some(Kind::kLabel), {}, weft::nn::Rule::kDelta, {0, 1});
  const auto found = alone(objective, 0.5), slices = alone(objective, sliced(bench, 1), 0.5);
  const auto one = objective.evaluate({{0, 0.5, 0, 0, 0.5, 0}})[0].score;
  CHECK(found[1] == doctest::Approx(one).epsilon(kScreenTolerance));
  REQUIRE(slices.size() == 3);
  for (size_t i = 0; i < 3; ++i) CHECK(slices[i] == doctest::Approx(found[i]).epsilon(kScreenTolerance));
}

TEST_CASE("eval/screen: an adapter that spoils its slice spoils nothing else") {
  ObjectiveBench bench("llama", {3, 3, 3});
  const ObjectiveBench spoiled("llama", {3}, 1e30, 1e30);
  const auto sound = first_order(bench.objective(bench.some(Kind::kText)));
  bench.paths[1] = spoiled.paths[0];
  const Objective base = bench.objective(bench.some(Kind::kText)).with_experts({});
  const auto slopes = first_order(base, sliced(bench, 3)), losses = alone(base, sliced(bench, 3));
  REQUIRE(slopes.size() == 3);
  CHECK(std::isnan(slopes[1]));
  CHECK(std::isnan(losses[1]));
  for (const size_t i : {size_t{0}, size_t{2}}) {
    CHECK(slopes[i] == doctest::Approx(sound[i]).epsilon(kScreenTolerance).scale(0.1));
    CHECK(std::isfinite(losses[i]));
  }
  CHECK(choose_best(weft::eval::promises(slopes, true), 2) == std::vector<size_t>{0, 2});
  CHECK(std::isnan(first_order(base.with_experts(sliced(bench, 3).attach(0, 3)))[1]));
}

TEST_CASE("eval/screen: similarity is the cosine of mean embeddings") {
  const ObjectiveBench bench("bert_sentence", {});
  const Examples examples = bench.some(Kind::kLabel);
  std::vector<std::string> own;
  for (const auto& example : examples.list) own.push_back(example.text);
  const auto embed = [&](const std::vector<std::string>& texts) {
    const weft::Tensor mean = weft::eval::embed(bench.runtime.model, bench.runtime.tokenizer, texts).mean(0);
    return mean / mean.norm();
  };
  const std::vector<std::string> other = {"50 51 52", "53 54"};
  const auto found = weft::eval::by_similarity(bench.runtime.model, bench.runtime.tokenizer, examples, {other, own});
  REQUIRE(found.size() == 2);
  CHECK(found[0] == doctest::Approx(embed(own).dot(embed(other)).item<double>()).epsilon(kScreenTolerance));
  CHECK(found[1] == doctest::Approx(1.0).epsilon(kScreenTolerance));
  CHECK(choose_best(found, 1) == std::vector<size_t>{1});
  CHECK(says(error_text<UsageError>([&] {
               weft::eval::by_similarity(bench.runtime.model, bench.runtime.tokenizer, examples, {own, {}});
             }),
             "adapter 1, counted from 0, has no sample texts"));
}

TEST_CASE("eval/screen: the best come in order, of equals the first, never what is no number") {
  CHECK(choose_best({1.0, 3.0, 2.0, 3.0}, 2) == std::vector<size_t>{1, 3});
  CHECK(choose_best({2.0, 3.0, 2.0, 2.0}, 3) == std::vector<size_t>{0, 1, 2});
  CHECK(choose_best({kNan, -5.0, kNan}, 1) == std::vector<size_t>{1});
  CHECK(choose_best({kNan, -5.0, kNan}, 2) == std::vector<size_t>{0, 1});
  CHECK(choose_best({1.0}, 9) == std::vector<size_t>{0});
  CHECK(choose_best({}, 3).empty());
  CHECK(weft::eval::promises({-2.0, 1.0}, false) == std::vector<double>{2.0, -1.0});
  CHECK(weft::eval::promises({-2.0, 1.0}, true) == std::vector<double>{2.0, 1.0});
}

TEST_CASE("eval/screen: slices that are not what was asked for are refused") {
  const ObjectiveBench bench("llama", {3, 3});
  const Objective objective = bench.objective(bench.some(Kind::kText));
  SlicedPool pool = sliced(bench, 2);
  pool.attach = [&](size_t, size_t) { return weft::nn::Experts(); };
  CHECK(says(error_text<UsageError>([&] { first_order(objective, pool); }), "the slice of the adapters 0 to 1 has 0"));
  pool.slice = 0;
  CHECK(says(error_text<UsageError>([&] { alone(objective, pool); }), "a slice of 0 adapters"));
}
