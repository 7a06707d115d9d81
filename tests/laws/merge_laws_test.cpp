// The laws of static composition over the whole table of presets, and over every combination of their parts.
#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "support/close.h"
#include "support/run_merge.h"

namespace {

namespace merge = weft::merge;
using weft::adapter::LowRank;

// Float32 factors and rows: a rounding is 6e-8, and sums of a few hundred of them, roots of scales and a truncation
// stay below this.
constexpr double kLawTolerance = 1e-5;
constexpr std::int64_t kRows = 22, kCols = 18, kRank = 4;

/// A small pool in memory: updates with names and weights.
struct LawPool {
  std::vector<std::string> names;
  std::vector<LowRank> updates;
  std::vector<double> weights;
};

LawPool law_pool(std::int64_t rows = kRows, std::int64_t cols = kCols, std::int64_t rank = kRank) {
  at::manual_seed(11);
  LawPool pool{{"first", "second", "third"}, {}, {0.6, -0.35, 0.9}};
  for (const double scale : {1.5, 0.7, 2.0}) pool.updates.push_back(weft::test::random_update(rows, cols, rank, scale));
  return pool;
}

/// Every preset, and under made-up names every other combination of parts and the options that change a rule.
std::vector<merge::Method> all_rows() {
  std::vector<merge::Method> rows = merge::methods();
  for (const auto space : {merge::Space::kDelta, merge::Space::kFactors})
    for (const auto sparsify : {merge::Sparsify::kNone, merge::Sparsify::kMagnitude, merge::Sparsify::kRandom})
      for (const auto consensus :
           {merge::Consensus::kNone, merge::Consensus::kSignTotal, merge::Consensus::kSignFrequency})
        for (const auto combine : {merge::Combine::kSum, merge::Combine::kMean})
          for (const bool weighted : {false, true}) {
            merge::Method m = merge::find_method(space == merge::Space::kDelta ? "svd" : "peft_linear");
            m.spec.sparsify = sparsify;
            m.spec.consensus = consensus;
            m.spec.combine = combine;
            m.spec.vote = weighted ? merge::Vote::kWeighted : merge::Vote::kUnweighted;
            m.spec.divisor = weighted ? merge::Divisor::kWeight : merge::Divisor::kCount;
            m.name = "parts " + std::to_string(static_cast<int>(space)) + std::to_string(static_cast<int>(sparsify)) +
                     std::to_string(static_cast<int>(consensus)) + std::to_string(static_cast<int>(combine)) +
                     (weighted ? "w" : "");
            rows.push_back(m);
          }
  return rows;
}

bool declares(const merge::Method& m, const char* law) {
  return std::find(m.laws.begin(), m.laws.end(), law) != m.laws.end();
}

at::Tensor merged(const merge::MergeSpec& base, const LawPool& pool, double density = 0.5) {
  merge::MergeSpec spec = base;
  spec.density = density;
  for (const double w : pool.weights) spec.adapters.push_back({w, {}});
  return weft::test::dense(merge::merge_module("layers.0.q", pool.names, pool.updates, spec).blocks[0]);
}

/// b G and G^-1 a: the same update in other coordinates; G is random and well-conditioned.
LowRank in_other_gauge(const LowRank& u) {
  const std::int64_t r = u.a.size(0);
  const at::Tensor g = at::randn({r, r}, at::kDouble) * 0.5 + 2.0 * at::eye(r, at::kDouble);
  const at::Tensor a = std::get<0>(at::linalg_inv_ex(g)).mm(u.a.to(at::kDouble));
  return {u.b.to(at::kDouble).mm(g).to(at::kFloat), a.to(at::kFloat), u.scale};
}

}  // namespace

TEST_CASE("laws/merge: every preset declares its laws") {
  for (const merge::Method& m : merge::methods()) {
    CAPTURE(m.name);
    for (const char* law : {"identity", "permutation", "scale", "rescaling"}) CHECK(declares(m, law));
    CHECK(declares(m, "gauge") == (m.spec.space == merge::Space::kDelta));
  }
}

TEST_CASE("laws/merge: identity, one adapter of weight 1 and density 1 comes back") {
  for (const merge::Method& m : all_rows())
    for (const double scale : {1.0, 1.7, -0.8}) {
      CAPTURE(m.name);
      LawPool one = law_pool();
      one.names.resize(1), one.updates.resize(1), one.weights = {1.0};
      one.updates[0].scale = scale;
      CHECK(weft::test::relative(merged(m.spec, one, 1.0), weft::test::dense(one.updates[0])) <= kLawTolerance);
    }
}

TEST_CASE("laws/merge: permuting adapters with their names and weights changes nothing") {
  for (const merge::Method& m : all_rows()) {
    CAPTURE(m.name);
    const LawPool pool = law_pool();
    LawPool turned = pool;
    std::rotate(turned.names.begin(), turned.names.begin() + 1, turned.names.end());
    std::rotate(turned.updates.begin(), turned.updates.begin() + 1, turned.updates.end());
    std::rotate(turned.weights.begin(), turned.weights.begin() + 1, turned.weights.end());
    CHECK(weft::test::relative(merged(m.spec, turned), merged(m.spec, pool)) <= kLawTolerance);
  }
}

TEST_CASE("laws/merge: all updates times k, by their factors or their scales, give the result times k") {
  for (const merge::Method& m : all_rows()) {
    CAPTURE(m.name);
    const LawPool pool = law_pool();
    const at::Tensor expected = merged(m.spec, pool) * 3.0;
    LawPool by_factor = pool, by_scale = pool;
    for (LowRank& u : by_factor.updates) u.b = u.b * 3.0;
    for (LowRank& u : by_scale.updates) u.scale *= 3.0;
    CHECK(weft::test::relative(merged(m.spec, by_factor), expected) <= kLawTolerance);
    CHECK(weft::test::relative(merged(m.spec, by_scale), expected) <= kLawTolerance);
  }
}

TEST_CASE("laws/merge: twice the scale and half of B is the same pool") {
  for (const merge::Method& m : all_rows()) {
    CAPTURE(m.name);
    const LawPool pool = law_pool();
    LawPool rescaled = pool;
    for (LowRank& u : rescaled.updates) u.scale *= 2.0, u.b = u.b * 0.5;
    CHECK(weft::test::relative(merged(m.spec, rescaled), merged(m.spec, pool)) <= kLawTolerance);
    if (!declares(m, "gauge")) continue;
    // On deltas it may be any one adapter; merging A and B apart weighs cross terms by the split.
    LawPool one = pool;
    one.updates[1].scale *= 2.0, one.updates[1].b = one.updates[1].b * 0.5;
    CHECK(weft::test::relative(merged(m.spec, one), merged(m.spec, pool)) <= kLawTolerance);
  }
}

TEST_CASE("laws/merge: what is merged is the delta, whatever its factors") {
  for (const merge::Method& m : all_rows()) {
    if (!declares(m, "gauge")) continue;
    CAPTURE(m.name);
    const LawPool pool = law_pool();
    LawPool turned = pool;
    for (LowRank& u : turned.updates) u = in_other_gauge(u);
    CHECK(weft::test::relative(merged(m.spec, turned), merged(m.spec, pool)) <= kLawTolerance);
  }
}

TEST_CASE("laws/merge: weighted sums are the sum, whatever the weights' signs") {
  const LawPool pool = law_pool();
  at::Tensor sum = at::zeros({kRows, kCols}, at::kDouble);
  for (size_t i = 0; i < 3; ++i) sum += weft::test::dense(pool.updates[i]) * pool.weights[i];
  for (const char* name : {"linear", "task_arithmetic", "cat", "peft_cat"})
    CHECK(weft::test::relative(merged(merge::find_method(name).spec, pool), sum) <= kLawTolerance);
  for (const char* name : {"svd", "peft_svd"})
    CHECK(weft::test::relative(merged(merge::find_method(name).spec, pool), weft::test::best_of_rank(sum, kRank)) <=
          kLawTolerance);
  merge::MergeSpec spec = merge::find_method("task_arithmetic").spec;
  spec.scale = -0.4;
  CHECK(weft::test::relative(merged(spec, pool), -0.4 * sum) <= kLawTolerance);
  spec.combine = merge::Combine::kMean;
  CHECK(weft::test::relative(merged(spec, pool), -0.4 / 3 * sum) <= kLawTolerance);
}

TEST_CASE("laws/merge: duplicates, zero updates and all-negative weights stay finite") {
  for (const merge::Method& m : all_rows()) {
    CAPTURE(m.name);
    LawPool twins = law_pool();
    twins.updates[1] = twins.updates[0];
    CHECK(merged(m.spec, twins).isfinite().all().item<bool>());
    LawPool negative = law_pool();
    negative.weights = {-1.0, -0.5, -2.0};
    CHECK(merged(m.spec, negative).isfinite().all().item<bool>());
    LawPool untrained = law_pool();
    untrained.updates[2].b = at::zeros_like(untrained.updates[2].b);
    const at::Tensor with_zero = merged(m.spec, untrained);
    CHECK(with_zero.isfinite().all().item<bool>());
    for (LowRank& u : untrained.updates) u.b = at::zeros_like(u.b);
    CHECK(merged(m.spec, untrained).norm().item<double>() == 0.0);
    untrained.weights = {0.0, 0.0, 0.0};
    CHECK(merged(m.spec, untrained).norm().item<double>() == 0.0);
  }
}

TEST_CASE("laws/merge: duplicates count twice and a zero update counts nothing in weighted sums") {
  for (const char* name : {"linear", "task_arithmetic", "cat", "svd", "peft_cat", "peft_svd"}) {
    CAPTURE(name);
    LawPool pool = law_pool();
    const at::Tensor one = weft::test::dense(pool.updates[0]);
    pool.updates[1] = pool.updates[0];
    pool.updates[2].b = at::zeros_like(pool.updates[2].b);
    // 0.6 − 0.35 of the same update: a cancellation that loses a factor of four.
    CHECK(weft::test::relative(merged(merge::find_method(name).spec, pool), one * 0.25) <= 4 * kLawTolerance);
  }
}

TEST_CASE("laws/merge: one-row and one-column modules, ranks above the shape, unequal ranks") {
  for (const merge::Method& m : all_rows())
    for (const auto& [rows, cols, rank] :
         std::vector<std::array<std::int64_t, 3>>{{1, 9, 1}, {9, 1, 1}, {1, 1, 1}, {5, 3, 2}, {3, 5, 8}, {6, 4, 6}}) {
      CAPTURE(m.name);
      CAPTURE(rows);
      CAPTURE(cols);
      LawPool pool = law_pool(rows, cols, rank);
      if (m.spec.space == merge::Space::kDelta) pool.updates[1] = weft::test::random_update(rows, cols, rank + 1);
      const at::Tensor x = merged(m.spec, pool, 0.7);
      CHECK(x.sizes() == at::IntArrayRef({rows, cols}));
      CHECK(x.isfinite().all().item<bool>());
      if (!m.name.starts_with("linear")) continue;
      at::Tensor sum = at::zeros({rows, cols}, at::kDouble);
      for (size_t i = 0; i < 3; ++i) sum += weft::test::dense(pool.updates[i]) * pool.weights[i];
      CHECK(weft::test::relative(x, sum) <= kLawTolerance);
    }
}
