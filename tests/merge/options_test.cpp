// Options as a merge applies them: normalisation, missing modules, filters and gradients, warnings, memory.
#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "support/close.h"
#include "support/error_text.h"
#include "support/run_merge.h"
#include "support/temp_dir.h"
#include "support/zoo.h"

namespace {

namespace merge = weft::merge;
using weft::adapter::Adapter;
using weft::adapter::LowRank;
using weft::adapter::Pool;

struct PairOfUpdates {
  std::vector<std::string> names = {"x", "y"};
  std::vector<LowRank> updates;
  PairOfUpdates() {
    at::manual_seed(8);
    updates = {weft::test::random_update(10, 8, 3, 2.0), weft::test::random_update(10, 8, 2, 0.5)};
  }
  at::Tensor sum(double x, double y) const {
    return weft::test::dense(updates[0]) * x + weft::test::dense(updates[1]) * y;
  }
  at::Tensor merged(const merge::MergeSpec& spec) const {
    return weft::test::dense(merge::merge_module("m", names, updates, spec).blocks[0]);
  }
};

bool has_warning(const std::vector<std::string>& warnings, const std::string& part) {
  return std::any_of(warnings.begin(), warnings.end(),
                     [&](const std::string& w) { return w.find(part) != std::string::npos; });
}

Pool zoo_pool(const weft::test::TempDir& dir) {
  return Pool::open(
      {{weft::test::write_zoo_adapter(dir / "a", 1, 3), "a"}, {weft::test::write_zoo_adapter(dir / "b", 2, 3), "b"}});
}

}  // namespace

TEST_CASE("merge/options: density keeps as many entries as PEFT, whose product rounds down") {
  at::manual_seed(9);
  auto spec = weft::test::preset("magnitude_prune", {1.0});
  spec.density = 0.7;  // 0.7 * 90 is 62.99999999999999 in float64
  spec.rank = merge::RankRule{merge::RankRule::Kind::kExact, 0};
  const LowRank update = weft::test::random_update(5, 18, 5, 1.0);
  const at::Tensor kept = weft::test::dense(merge::merge_module("m", {"x"}, {update}, spec).blocks[0]);
  CHECK(kept.abs().gt(1e-5).sum().item<std::int64_t>() == 62);  // what was cut is zero up to the SVD's rounding
}

TEST_CASE("merge/options: normalize divides by the sum of the weights, and refuses a sum near zero") {
  const PairOfUpdates pair;
  auto spec = weft::test::preset("linear", {3.0, 1.0});
  CHECK(weft::test::relative(pair.merged(spec), pair.sum(3.0, 1.0)) <= 1e-6);
  spec.normalize = true;
  CHECK(weft::test::relative(pair.merged(spec), pair.sum(0.75, 0.25)) <= 1e-6);
  spec = weft::test::preset("linear", {0.5, -0.5});
  CHECK(weft::test::relative(pair.merged(spec), pair.sum(0.5, -0.5)) <= 1e-6);
  spec.normalize = true;
  CHECK(weft::test::error_text<weft::UsageError>([&] { pair.merged(spec); }).find("normalize") != std::string::npos);
}

TEST_CASE("merge/options: an adapter without the module counts as zero, or not at all") {
  const PairOfUpdates pair;
  PairOfUpdates lone = pair;
  lone.updates[1] = {};
  auto spec = weft::test::preset("linear", {3.0, 1.0});
  spec.combine = merge::Combine::kMean;
  CHECK(weft::test::relative(lone.merged(spec), pair.sum(1.5, 0)) <= 1e-6);
  spec.missing = merge::Missing::kRenormalize;
  CHECK(weft::test::relative(lone.merged(spec), pair.sum(3.0, 0)) <= 1e-6);
  spec.combine = merge::Combine::kSum;
  spec.normalize = true;
  CHECK(weft::test::relative(lone.merged(spec), pair.sum(1.0, 0)) <= 1e-6);
  spec.missing = merge::Missing::kZero;
  CHECK(weft::test::relative(lone.merged(spec), pair.sum(0.75, 0)) <= 1e-6);
}

TEST_CASE("merge/options: mergekit's election and divisor, weighted vote and the sum of the agreeing weights") {
  const PairOfUpdates pair;
  auto spec = weft::test::preset("ties", {0.9, -0.4});
  spec.density = 1.0;
  spec.rank = weft::test::exact_rank();
  spec.vote = merge::Vote::kWeighted;
  spec.divisor = merge::Divisor::kWeight;
  const at::Tensor x = pair.sum(0.9, 0), y = pair.sum(0, -0.4), elected = (x + y).sign();
  const at::Tensor x_agrees = x.sign().eq(elected).to(at::kDouble), y_agrees = y.sign().eq(elected).to(at::kDouble);
  const at::Tensor expected = (x * x_agrees + y * y_agrees) / (x_agrees * 0.9 + y_agrees * 0.4);
  CHECK(weft::test::relative(pair.merged(spec), expected) <= 1e-6);
}

TEST_CASE("merge/options: the recipe's weight serves adapters without their own") {
  const PairOfUpdates pair;
  merge::MergeSpec spec = merge::find_method("linear").spec;
  spec.weight = 0.25;
  spec.adapters.resize(1);
  spec.adapters[0].weight = -2.0;
  CHECK(weft::test::relative(pair.merged(spec), pair.sum(-2.0, 0.25)) <= 1e-6);
}

TEST_CASE("merge/options: filters and layer gradients reach their modules") {
  const weft::test::TempDir dir;
  const Pool pool = zoo_pool(dir);
  auto spec = weft::test::preset("linear", {1.0});
  spec.adapters.resize(2);
  // mlp: the gradient 0.2 … 0.8 over two layers; everything else 0.5.
  spec.adapters[1].weight.rules = {{"mlp", {0.2, 0.8}}, {"", {0.5}}};
  const Adapter made = weft::test::merge_to(dir / "out", pool, spec);
  const auto weight_of = [](const std::string& module) {
    if (module.find("mlp") == std::string::npos) return 0.5;
    return module.find("layers.0") != std::string::npos ? 0.2 : 0.8;
  };
  for (const auto& m : pool.modules()) {
    CAPTURE(m.info.name);
    const auto delta = [&](const Adapter& a) { return weft::test::dense_block(a.load(*a.find(m.info.name))); };
    const at::Tensor expected = delta(pool.adapters()[0]) + delta(pool.adapters()[1]) * weight_of(m.info.name);
    CHECK(weft::test::relative(delta(made), expected) <= 1e-6);
  }
}

TEST_CASE("merge/options: ranks by filter, and the report tells rank and error of each module") {
  const weft::test::TempDir dir;
  const Pool pool = zoo_pool(dir);
  merge::MergeSpec spec = merge::find_method("linear").spec;
  spec.rank.rules = {{"mlp", {weft::test::fixed_rank(2)}}, {"", {weft::test::exact_rank()}}};
  merge::MergeReport report;
  const Adapter made = weft::test::merge_to(dir / "out", pool, spec, at::kFloat, &report);
  REQUIRE(report.modules.size() == 4);
  for (const auto& m : report.modules) {
    CAPTURE(m.name);
    const bool cut = m.name.find("mlp") != std::string::npos;
    CHECK(m.rank == (cut ? 2 : 6));
    CHECK(made.find(m.name)->rank == m.rank);
    CHECK((m.error > 1e-3) == cut);
  }
  CHECK(report.error > 0.0);
}

TEST_CASE("merge/options: cross terms are measured, options without effect are named") {
  const weft::test::TempDir dir;
  const Pool pool = zoo_pool(dir);
  merge::MergeReport report;
  weft::test::merge_to(dir / "out", pool, weft::test::preset("peft_linear", {0.5, 0.5}), at::kFloat, &report);
  CHECK(has_warning(report.warnings, "cross terms"));
  auto spec = weft::test::preset("linear", {0.5, 0.5});
  spec.density = 0.2;
  spec.seed = 4;
  const auto warnings = merge::plan(pool, spec).warnings;
  CHECK(has_warning(warnings, "density has no effect"));
  CHECK(has_warning(warnings, "seed has no effect"));
}

TEST_CASE("merge/options: threads and memory change no byte of a pool's merge, too little memory is refused") {
  const weft::test::TempDir dir;
  const Pool pool = zoo_pool(dir);
  const auto spec = weft::test::preset("dare_ties", {0.5, 0.7});
  const auto run = [&](const char* name, const merge::RunOptions& options) {
    weft::adapter::AdapterWriter writer(dir / name, pool, {at::kFloat, false});
    merge::merge(pool, spec, writer, options);
    writer.finish(weft::Value::make_map());
    return weft::test::file_text(dir / name / "adapter_model.safetensors");
  };
  merge::RunOptions one, two, little;
  one.threads = 1;
  two.threads = 2;
  little.memory = merge::plan(pool, spec, two).memory;
  little.threads = 2;
  const std::string first = run("one", one);
  CHECK(first == run("two", two));
  CHECK(first == run("little", little));
  little.memory = 100;
  const std::string said = weft::test::error_text<weft::UsageError>([&] { merge::plan(pool, spec, little); });
  CHECK(said.find("--memory 100") != std::string::npos);
}

TEST_CASE("merge/options: counts and names that fit no pool are usage errors") {
  const weft::test::TempDir dir;
  const Pool pool = zoo_pool(dir);
  CHECK_THROWS_AS(merge::plan(pool, weft::test::preset("linear", {1, 1, 1})), weft::UsageError);
  CHECK_THROWS_AS(merge::plan(Pool(std::vector<Adapter>{}), weft::test::preset("linear", {})), weft::UsageError);
  CHECK_THROWS_AS(merge::merge_module("m", {"x"}, {}, merge::find_method("linear").spec), weft::UsageError);
  CHECK_THROWS_AS(merge::merge_module("m", {"x"}, {LowRank{}}, merge::find_method("linear").spec), weft::UsageError);
}
