#include "model/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "io/json.h"
#include "support/error_text.h"
#include "support/golden_models.h"
#include "weft/core/error.h"

namespace {

using weft::Value;
using weft::model::GenerateOptions;
using weft::model::Sampler;
using weft::model::TokenProbability;
using weft::test::error_text;
using weft::test::integers;
using weft::test::says;

std::vector<float> golden_floats(const Value& list) {
  std::vector<float> out;
  for (const Value& v : list.list) out.push_back(static_cast<float>(*v.number()));
  return out;
}

std::vector<std::int64_t> distinct(std::vector<std::int64_t> ids) {
  const std::set<std::int64_t> all(ids.begin(), ids.end());
  return {all.begin(), all.end()};
}

GenerateOptions options_of(const Value& settings) {
  GenerateOptions o;
  for (const auto& [key, value] : settings.map) {
    if (key == "temperature") o.temperature = *value.number();
    if (key == "top_k") o.top_k = *value.integer();
    if (key == "top_p") o.top_p = *value.number();
    if (key == "repetition_penalty") o.repetition_penalty = *value.number();
  }
  return o;
}

GenerateOptions drawing(double temperature, std::int64_t top_k = 0, double top_p = 1.0) {
  GenerateOptions o;
  o.temperature = temperature;
  o.top_k = top_k;
  o.top_p = top_p;
  return o;
}

std::vector<TokenProbability> distribution_of(const GenerateOptions& o, std::vector<float> logits) {
  return Sampler(o).distribution(logits, {});
}

std::vector<float> normal_logits(size_t count, std::uint64_t seed, float scale) {
  const weft::Philox random(seed);
  std::vector<float> out(count);
  for (size_t i = 0; i < count; ++i) out[i] = scale * random.normal(i);
  return out;
}

/// The definition of top_k and top_p by a full sort, in long double.
std::set<std::int64_t> kept_by_definition(const std::vector<float>& logits, const GenerateOptions& o) {
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto x, auto y) { return logits[x] > logits[y]; });
  if (o.top_k > 0)
    while (static_cast<std::int64_t>(order.size()) > o.top_k && logits[order.back()] < logits[order[o.top_k - 1]])
      order.pop_back();
  const auto weight = [&](std::int64_t id) {
    return std::exp((static_cast<long double>(logits[id]) - logits[order[0]]) / o.temperature);
  };
  long double total = 0, before = 0;
  for (const std::int64_t id : order) total += weight(id);
  std::set<std::int64_t> kept;
  for (const std::int64_t id : order) {
    if (!kept.empty() && o.top_p < 1 && before >= o.top_p * static_cast<double>(total)) break;
    kept.insert(id);
    before += weight(id);
  }
  return kept;
}

}  // namespace

TEST_CASE("model/sampler: transformers' processors give the same probabilities") {
  const Value golden = weft::io::read_json(std::string(WEFT_SOURCE_DIR) + "/tests/golden/sampling/sampling.json");
  for (const Value& c : golden.find("cases")->list) {
    CAPTURE(c.find("name")->scalar);
    std::vector<float> logits = golden_floats(*c.find("logits"));
    Sampler sampler(options_of(*c.find("settings")));
    const std::vector<TokenProbability> got = sampler.distribution(logits, distinct(integers(c.find("seen"))));
    if (const Value* token = c.find("token")) {
      REQUIRE(got.size() == 1);
      CHECK(got[0].id == *token->integer());
      continue;
    }
    std::vector<std::int64_t> ids = integers(c.find("ids"));
    REQUIRE(got.size() == ids.size());
    std::vector<double> theirs, ours;
    for (const Value& v : c.find("probabilities")->list) theirs.push_back(*v.number());
    for (const TokenProbability& p : got) ours.push_back(p.probability);
    if (*c.find("any_of_equals")->boolean()) {
      // Which of equal tokens is dropped depends on an unstable sort there; here the highest ids go.
      std::sort(theirs.begin(), theirs.end());
      std::sort(ours.begin(), ours.end());
    } else {
      for (size_t i = 0; i < ids.size(); ++i) CHECK(got[i].id == ids[i]);
    }
    // Their scores are float32: 1e-7 relative each.
    for (size_t i = 0; i < ids.size(); ++i) CHECK(std::abs(ours[i] - theirs[i]) < 1e-6);
  }
}

TEST_CASE("model/sampler: filters keep what a full sort keeps, ties and large vocabularies included") {
  for (const size_t size : {1u, 2u, 7u, 100u, 5000u})
    for (const float scale : {0.0f, 0.5f, 2.0f, 30.0f})
      for (const double top_p : {1e-9, 0.3, 0.9, 0.999999, 1.0})
        for (const std::int64_t top_k : {0, 1, 3, 50, 2500, 4999, 9999}) {
          std::vector<float> logits = normal_logits(size, 11 * size + static_cast<size_t>(scale), scale);
          if (top_k == 50)
            for (float& x : logits) x = std::round(x);
          const GenerateOptions o = drawing(0.9, top_k, top_p);
          const std::set<std::int64_t> wanted = kept_by_definition(logits, o);
          std::set<std::int64_t> got;
          double sum = 0;
          for (const TokenProbability& p : distribution_of(o, logits)) {
            got.insert(p.id);
            sum += p.probability;
          }
          CAPTURE(size);
          CAPTURE(scale);
          CAPTURE(top_p);
          CAPTURE(top_k);
          // Sums in float64 and long double may differ by a token of no weight at the very end.
          const bool same = got == wanted || (top_p > 0.99 && std::abs(1.0 * got.size() - 1.0 * wanted.size()) <= 1);
          CHECK(same);
          CHECK(std::abs(sum - 1.0) < 1e-12);
        }
}

TEST_CASE("model/sampler: greedy takes the first of equals") {
  std::vector<float> logits = {0.5f, 2.0f, -1.0f, 2.0f};
  Sampler sampler{GenerateOptions{}};
  CHECK(sampler.pick(logits, {}, 0, 0) == 1);
  const std::vector<std::int64_t> seen = {1};
  GenerateOptions o;
  o.repetition_penalty = 1.01;
  CHECK(Sampler(o).pick(logits, seen, 0, 0) == 3);
}

TEST_CASE(
    "model/sampler: the penalty divides positive logits, multiplies negative ones, and leaves foreign ids alone") {
  std::vector<float> logits = {2.0f, -2.0f, 1.0f, 0.0f};
  GenerateOptions o = drawing(1.0);
  o.repetition_penalty = 2.0;
  const std::vector<std::int64_t> seen = {0, 1, 3, 77, -1};
  Sampler(o).distribution(logits, seen);
  CHECK(logits == std::vector<float>{1.0f, -4.0f, 1.0f, 0.0f});
}

TEST_CASE("model/sampler: extreme temperatures neither overflow nor divide by zero") {
  const std::vector<float> logits = {100.0f, -100.0f, 99.0f, -std::numeric_limits<float>::infinity()};
  const auto cold = distribution_of(drawing(1e-300), logits);
  CHECK(cold[0].probability == 1.0);
  const auto hot = distribution_of(drawing(1e300), logits);
  REQUIRE(hot.size() == 4);
  CHECK(hot[1].probability == 1.0 / 3.0);
  CHECK(hot[3].probability == 0.0);
}

TEST_CASE("model/sampler: draws follow the distribution") {
  const std::vector<float> logits = normal_logits(12, 5, 1.0f);
  const auto expected = distribution_of(drawing(0.8), logits);
  GenerateOptions o = drawing(0.8);
  o.seed = 42;
  Sampler sampler(o);
  constexpr int kDraws = 20000;
  std::vector<double> counts(logits.size(), 0.0);
  for (int i = 0; i < kDraws; ++i) {
    std::vector<float> copy = logits;
    ++counts[static_cast<size_t>(
        sampler.pick(copy, {}, static_cast<std::uint64_t>(i % 7), static_cast<std::uint64_t>(i)))];
  }
  double chi = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double mean = kDraws * expected[i].probability;
    chi += (counts[i] - mean) * (counts[i] - mean) / mean;
  }
  // 11 degrees of freedom: above 31.3 once in a thousand seeds.
  CHECK(chi < 31.3);
}

TEST_CASE("model/sampler: a draw depends on seed, sequence and step alone") {
  const std::vector<float> logits = normal_logits(1000, 9, 1.0f);
  const auto draw = [&](std::uint64_t seed, std::uint64_t sequence, std::uint64_t step) {
    GenerateOptions o = drawing(1.0);
    o.seed = seed;
    std::vector<float> copy = logits;
    return Sampler(o).pick(copy, {}, sequence, step);
  };
  std::set<std::int64_t> seeds, sequences, steps;
  for (std::uint64_t i = 0; i < 20; ++i) {
    seeds.insert(draw(i, 0, 0));
    sequences.insert(draw(0, i, 0));
    steps.insert(draw(0, 0, i));
  }
  CHECK(draw(3, 4, 5) == draw(3, 4, 5));
  CHECK(seeds.size() > 10);
  CHECK(sequences.size() > 10);
  CHECK(steps.size() > 10);
}

TEST_CASE("model/sampler: broken logits are refused") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const GenerateOptions& o : {GenerateOptions{}, drawing(1.0), drawing(1.0, 2, 0.5)})
    for (std::vector<float> logits : {std::vector<float>{1, nan, 2}, {nan, 1, 2}, {1, 2, nan}, {1, inf}, {-inf, -inf}})
      CHECK(says(error_text<weft::InputError>([&] { Sampler(o).pick(logits, {}, 0, 0); }), "the model's logits are"));
}

TEST_CASE("model/sampler: options out of range are named") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const auto refusal = [](const GenerateOptions& o) {
    return error_text<weft::UsageError>([&] { weft::model::check_sampling(o); });
  };
  for (const double bad : {-1.0, inf, nan}) CHECK(says(refusal(drawing(bad)), "temperature is"));
  CHECK(says(refusal(drawing(1, -1)), "top_k is -1"));
  for (const double bad : {0.0, -0.5, 1.5, inf, nan}) CHECK(says(refusal(drawing(1, 0, bad)), "top_p is"));
  for (const double bad : {0.0, -1.0, 1e-7, 1e7, inf, nan}) {
    GenerateOptions o;
    o.repetition_penalty = bad;
    CHECK(says(refusal(o), "repetition_penalty is"));
  }
  CHECK(refusal(drawing(0)) == "no error");
}
