// What a rank rule keeps, what random masks depend on, and what a run's threads and memory must not change.
#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "support/close.h"
#include "support/run_merge.h"

namespace {

namespace merge = weft::merge;
using weft::adapter::LowRank;

const std::vector<std::string> kNames = {"first", "second", "third"};
const std::vector<double> kWeights = {0.6, -0.35, 0.9};

std::vector<LowRank> run_updates(std::int64_t rows, std::int64_t cols, std::int64_t rank) {
  at::manual_seed(5);
  std::vector<LowRank> updates;
  for (int i = 0; i < 3; ++i) updates.push_back(weft::test::random_update(rows, cols, rank + i % 2, 0.5 + i));
  return updates;
}

merge::MergeSpec run_spec(const merge::Method& m, const merge::RankRule& rank) {
  merge::MergeSpec spec = weft::test::preset(m.name, kWeights);
  spec.rank = rank;
  return spec;
}

/// The presets whose parts differ; the others run the same code on the same numbers.
std::vector<merge::Method> distinct_methods(merge::Space space) {
  std::vector<merge::Method> out;
  std::set<std::string> seen;
  for (const merge::Method& m : merge::methods())
    if (m.spec.space == space && seen.insert(m.parts).second) out.push_back(m);
  return out;
}

bool same_bits(const merge::MemoryResult& x, const merge::MemoryResult& y) {
  return at::equal(x.blocks[0].a, y.blocks[0].a) && at::equal(x.blocks[0].b, y.blocks[0].b) && x.norm == y.norm &&
         x.error == y.error;
}

/// The error reported is the error measured against `whole`, and no larger than the best possible one allows.
void check_error(const merge::MemoryResult& made, const at::Tensor& whole) {
  const at::Tensor x = weft::test::dense(made.blocks[0]);
  const double best = weft::test::relative(weft::test::best_of_rank(whole, made.blocks[0].a.size(0)), whole);
  const double measured = weft::test::relative(x, whole);
  // float32 factors: where the truncation loses nothing, what is left is rounding.
  CHECK(std::fabs(made.error - measured) <= 2e-6);
  // The randomized SVD promises an error within 0.02 % per block of the optimum.
  CHECK(measured <= best * 1.002 + 2e-6);
  CHECK(made.norm == doctest::Approx(whole.norm().item<double>()).epsilon(1e-5));
}

}  // namespace

TEST_CASE("laws/rank: exact, keep and N are honoured, and the error reported is the error made") {
  const auto updates = run_updates(40, 32, 4);  // ranks 4, 5, 4
  for (const merge::Method& m : distinct_methods(merge::Space::kDelta)) {
    CAPTURE(m.name);
    const auto run = [&](const merge::RankRule& rank) {
      return merge::merge_module("m", kNames, updates, run_spec(m, rank));
    };
    const auto exact = run(weft::test::exact_rank());
    const at::Tensor whole = weft::test::dense(exact.blocks[0]);
    CHECK(exact.error <= 1e-6);
    CHECK(exact.blocks[0].a.size(0) <= 32);
    const auto keep = run({merge::RankRule::Kind::kKeep, 0});
    CHECK(keep.blocks[0].a.size(0) == 5);
    check_error(keep, whole);
    for (const int n : {1, 3, 11}) {
      const auto fixed = run(weft::test::fixed_rank(n));
      CHECK(fixed.blocks[0].a.size(0) == n);
      check_error(fixed, whole);
    }
    const auto more = run(weft::test::fixed_rank(500));  // clipped
    CHECK(more.blocks[0].a.size(0) <= 32);
    CHECK(weft::test::relative(weft::test::dense(more.blocks[0]), whole) <= 1e-5);
  }
}

TEST_CASE("laws/rank: energy keeps the smallest rank that holds the share") {
  const auto updates = run_updates(40, 32, 4);
  for (const merge::Method& m : distinct_methods(merge::Space::kDelta))
    for (const double share : {0.3, 0.9, 0.999, 1.0}) {
      CAPTURE(m.name);
      CAPTURE(share);
      const auto made = merge::merge_module("m", kNames, updates, run_spec(m, {merge::RankRule::Kind::kEnergy, share}));
      const at::Tensor whole =
          weft::test::dense(merge::merge_module("m", kNames, updates, run_spec(m, weft::test::exact_rank())).blocks[0]);
      const at::Tensor squares = at::linalg_svdvals(whole).pow(2);
      const double total = squares.sum().item<double>();
      const std::int64_t rank = made.blocks[0].a.size(0);
      // Singular values of float32 factors are good to 1e-7 of the largest.
      CHECK(squares.narrow(0, 0, rank).sum().item<double>() >= (share - 1e-7) * total);
      if (rank > 1) CHECK(squares.narrow(0, 0, rank - 1).sum().item<double>() < (share + 1e-7) * total);
      CHECK(made.error <= std::sqrt(1 - share) + 1e-6);
    }
}

TEST_CASE("laws/rank: merging A and B apart truncates too") {
  std::vector<LowRank> updates;
  for (const LowRank& u : run_updates(40, 32, 4))
    updates.push_back({u.b.narrow(1, 0, 4), u.a.narrow(0, 0, 4), u.scale});
  for (const merge::Method& m : distinct_methods(merge::Space::kFactors)) {
    CAPTURE(m.name);
    const auto run = [&](const merge::RankRule& rank) {
      return merge::merge_module("m", kNames, updates, run_spec(m, rank));
    };
    const at::Tensor whole = weft::test::dense(run(weft::test::exact_rank()).blocks[0]);
    const auto two = run(weft::test::fixed_rank(2));
    CHECK(two.blocks[0].a.size(0) == 2);
    check_error(two, whole);
    check_error(run({merge::RankRule::Kind::kEnergy, 0.8}), whole);
  }
}

TEST_CASE("laws/runs: threads and memory change no bit") {
  const auto updates = run_updates(700, 600, 4);  // three tiles of rows, two blocks of columns
  for (const auto space : {merge::Space::kDelta, merge::Space::kFactors})
    for (const merge::Method& m : distinct_methods(space)) {
      CAPTURE(m.name);
      auto inputs = updates;
      if (space == merge::Space::kFactors) inputs.erase(inputs.begin() + 1);  // equal ranks only
      const std::vector<std::string> names(kNames.begin(), kNames.begin() + static_cast<std::ptrdiff_t>(inputs.size()));
      const merge::MergeSpec spec = run_spec(m, {merge::RankRule::Kind::kKeep, 0});
      merge::RunOptions one, two, little;
      one.threads = little.threads = 1;
      two.threads = 2;
      little.memory = 1;  // everything is produced again in each pass
      const auto first = merge::merge_module("m", names, inputs, spec, one);
      CHECK(same_bits(first, merge::merge_module("m", names, inputs, spec, two)));
      CHECK(same_bits(first, merge::merge_module("m", names, inputs, spec, little)));
    }
}

TEST_CASE("laws/random: the same seed gives the same bytes, another seed other masks") {
  auto updates = run_updates(30, 20, 4);
  updates.erase(updates.begin() + 1);
  for (const merge::Method& m : merge::methods()) {
    CAPTURE(m.name);
    merge::MergeSpec spec = run_spec(m, {merge::RankRule::Kind::kKeep, 0});
    spec.adapters.resize(2);
    const auto run = [&] { return merge::merge_module("m", {"x", "y"}, updates, spec); };
    const auto first = run();
    CHECK(same_bits(first, run()));
    spec.seed = 7;
    const bool random = m.spec.sparsify == merge::Sparsify::kRandom;
    CHECK(same_bits(first, run()) == !random);
    const auto seven = run();
    CHECK(same_bits(seven, run()));
  }
}

TEST_CASE("laws/random: a mask depends on adapter, module and seed, not on the order") {
  const auto updates = run_updates(30, 20, 4);
  merge::MergeSpec spec = merge::find_method("dare_linear").spec;
  spec.rank = weft::test::exact_rank();
  const auto alone = [&](const std::string& module, const std::string& name) {
    return weft::test::dense(merge::merge_module(module, {name}, {updates[0]}, spec).blocks[0]);
  };
  const at::Tensor x = alone("m", "x");
  CHECK(weft::test::relative(alone("m", "y"), x) > 0.1);
  CHECK(weft::test::relative(alone("n", "x"), x) > 0.1);
  // The second place leaves x's mask as it is, and the other adapter draws its own.
  LowRank zero = updates[2];
  zero.b = at::zeros_like(zero.b);
  const auto pair = merge::merge_module("m", {"other", "x"}, {zero, updates[0]}, spec);
  CHECK(weft::test::relative(weft::test::dense(pair.blocks[0]), x) <= 1e-6);
}

TEST_CASE("laws/random: DARE's mean is the exact sum, and the share kept is the density") {
  constexpr int kSeeds = 300;
  constexpr double kDensity = 0.3;
  const auto updates = run_updates(16, 12, 3);
  merge::MergeSpec spec = weft::test::preset("dare_linear", kWeights);
  spec.rank = weft::test::exact_rank();
  spec.density = kDensity;
  at::Tensor exact = at::zeros({16, 12}, at::kDouble), variance = exact.clone(), sum = exact.clone();
  for (size_t i = 0; i < 3; ++i) {
    const at::Tensor term = weft::test::dense(updates[i]) * kWeights[i];
    exact += term;
    variance += term.pow(2) * ((1 - kDensity) / kDensity);  // of a Bernoulli variable divided by its mean
  }
  const at::Tensor lone = weft::test::dense(updates[0]);
  merge::MergeSpec lone_spec = spec;
  lone_spec.adapters.clear();
  double kept = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    spec.seed = lone_spec.seed = seed;
    sum += weft::test::dense(merge::merge_module("m", kNames, updates, spec).blocks[0]);
    const at::Tensor one = weft::test::dense(merge::merge_module("m", {kNames[0]}, {updates[0]}, lone_spec).blocks[0]);
    // Survivors are the update divided by the density, the others zero up to rounding.
    kept += one.abs().gt(lone.abs()).sum().item<double>();
  }
  const at::Tensor sigmas = (sum / kSeeds - exact).abs() / (variance / kSeeds).sqrt();
  CHECK(sigmas.max().item<double>() < 5.0);
  CHECK(sigmas.pow(2).mean().item<double>() == doctest::Approx(1.0).epsilon(0.5));  // no quieter than it should be
  const double drawn = kSeeds * 16.0 * 12.0;
  CHECK(std::fabs(kept / drawn - kDensity) < 5 * std::sqrt(kDensity * (1 - kDensity) / drawn));
}
