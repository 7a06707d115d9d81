#include "weft/adapter/base.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "support/close.h"
#include "support/error_text.h"
#include "support/make_adapter.h"
#include "support/run_merge.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;
namespace merge = weft::merge;
using weft::adapter::Adapter;
using weft::adapter::BaseWeights;
using weft::adapter::Pool;
using weft::test::error_text;

// Base and factors are float32 (6e-8 each), as is the output; a truncation adds a few of those.
constexpr double kOnBaseTolerance = 1e-5;

fs::path golden_merges() { return fs::path(WEFT_SOURCE_DIR) / "tests" / "golden" / "merges"; }

Pool dora_inputs(const std::vector<std::string>& names) {
  std::vector<Pool::Source> sources;
  for (const std::string& name : names) sources.push_back({golden_merges() / "inputs" / "dora" / name, name});
  return Pool::open(sources);
}

BaseWeights dora_base() { return BaseWeights::open(golden_merges() / "inputs" / "dora" / "a" / "base.safetensors"); }

at::Tensor whole_delta_of(const Adapter& adapter, const weft::adapter::ModuleInfo& module) {
  const auto update = adapter.load(module);
  const at::Tensor low = weft::test::dense_block(update);
  return update.dense.defined() ? low + update.dense.to(at::kDouble) : low;
}

/// An ordinary adapter with the same deltas: the dense matrix as factors.
fs::path as_plain(const fs::path& dir, const Adapter& adapter) {
  weft::test::NamedTensors tensors;
  for (const auto& m : adapter.modules()) {
    const std::string stem = "base_model.model." + m.name;
    // Float32 as the rows of the delta are computed, so that the entries that are kept are the same.
    tensors.emplace_back(stem + ".lora_A.weight", whole_delta_of(adapter, m).to(at::kFloat));
    tensors.emplace_back(stem + ".lora_B.weight", at::eye(m.out, at::kFloat));
  }
  std::string ranks;
  for (const auto& m : adapter.modules())
    ranks += (ranks.empty() ? "\"" : ", \"") + m.name + "\": " + std::to_string(m.out);
  return weft::test::write_peft(dir,
                                "{\"peft_type\": \"LORA\", \"r\": 1, \"lora_alpha\": 1, \"target_modules\": "
                                "[\"q_proj\", \"o_proj\"], \"rank_pattern\": {" +
                                    ranks + "}, \"alpha_pattern\": {" + ranks + "}}",
                                tensors);
}

void check_true_sum(const Pool& pool, const merge::MergeSpec& spec, const std::string& golden) {
  const weft::test::TempDir dir;
  merge::MergeReport report;
  const Adapter made = weft::test::merge_to(dir / "out", pool, spec, at::kFloat, &report);
  CHECK_FALSE(report.carried);
  const auto expected = weft::io::open_tensor_file(golden_merges() / (golden + ".safetensors"));
  CHECK(made.modules().size() == expected->entries().size());
  for (const auto& m : made.modules()) {
    CAPTURE(m.name);
    const at::Tensor got = weft::test::dense_block(made.load(m));
    CHECK(weft::test::relative(got, expected->load("true/" + m.name)) <= kOnBaseTolerance);
  }
}

}  // namespace

TEST_CASE("merge/base: weighted sums of DoRA adapters given the base") {
  const Pool two = weft::adapter::with_base(dora_inputs({"a", "b"}), dora_base());
  for (const char* method : {"cat", "linear", "task_arithmetic"}) {
    CAPTURE(method);
    check_true_sum(two, weft::test::preset(method, {0.7, -0.4}), "cat-dora");
  }
  merge::MergeSpec full = weft::test::preset("svd", {1.0});
  full.rank = weft::test::fixed_rank(8);
  check_true_sum(weft::adapter::with_base(dora_inputs({"a"}), dora_base()), full, "linear-dora-one");
}

TEST_CASE("merge/base: ranks and energies of dense deltas are the best approximations") {
  const weft::test::TempDir dir;
  const Pool pool = weft::adapter::with_base(dora_inputs({"a", "b"}), dora_base());
  merge::MergeSpec spec = weft::test::preset("linear", {0.7, -0.4});
  const Adapter exact = weft::test::merge_to(dir / "exact", pool, spec);
  spec.rank = weft::test::fixed_rank(3);
  merge::MergeReport report;
  const Adapter cut = weft::test::merge_to(dir / "cut", pool, spec, at::kFloat, &report);
  CHECK(report.error > 0.0);
  for (const auto& m : cut.modules()) {
    CAPTURE(m.name);
    CHECK(m.rank == 3);
    const at::Tensor best = weft::test::best_of_rank(weft::test::dense_block(exact.load(*exact.find(m.name))), 3);
    CHECK(weft::test::relative(weft::test::dense_block(cut.load(m)), best) <= kOnBaseTolerance);
  }
  spec.rank = merge::RankRule{merge::RankRule::Kind::kEnergy, 0.9};
  weft::test::merge_to(dir / "energy", pool, spec, at::kFloat, &report);
  // The energy left out is at most a tenth in every module, so in all.
  CHECK(report.error * report.error <= 0.1);
  CHECK(report.error > 0.0);
}

TEST_CASE("merge/base: entrywise methods see the whole delta of a DoRA adapter") {
  const weft::test::TempDir dir;
  const Pool pool = weft::adapter::with_base(dora_inputs({"a", "b"}), dora_base());
  const Pool plain =
      Pool::open({{as_plain(dir / "pa", pool.adapters()[0]), "a"}, {as_plain(dir / "pb", pool.adapters()[1]), "b"}});
  for (const char* method : {"ties", "magnitude_prune", "dare_linear", "dare_ties"}) {
    CAPTURE(method);
    merge::MergeSpec spec = weft::test::preset(method, {0.7, -0.4});
    spec.rank = weft::test::exact_rank();
    const Adapter made = weft::test::merge_to(dir / (std::string("m-") + method), pool, spec);
    const Adapter same = weft::test::merge_to(dir / (std::string("p-") + method), plain, spec);
    for (const auto& m : made.modules())
      CHECK(weft::test::relative(weft::test::dense_block(made.load(m)),
                                 weft::test::dense_block(same.load(*same.find(m.name)))) <= kOnBaseTolerance);
  }
}

TEST_CASE("merge/base: dense deltas of several tiles") {
  const weft::test::TempDir dir;
  at::manual_seed(11);
  constexpr std::int64_t kOut = 600, kIn = 530;
  std::vector<Pool::Source> sources;
  for (const char* name : {"a", "b"}) {
    weft::test::NamedTensors tensors;
    weft::test::add_pair(tensors, "q", kOut, kIn, 4);
    tensors.emplace_back("base_model.model.q.lora_magnitude_vector", at::rand({kOut}) * 10 + 20);
    sources.push_back({weft::test::write_peft(
                           dir / name, R"({"peft_type": "LORA", "r": 4, "lora_alpha": 1, "use_dora": true})", tensors),
                       name});
  }
  weft::test::write_tensors(dir / "base" / "model.safetensors", {{"q.weight", at::randn({kOut, kIn})}});
  const Pool pool = weft::adapter::with_base(Pool::open(sources), BaseWeights::open(dir / "base"));
  const at::Tensor first = whole_delta_of(pool.adapters()[0], pool.adapters()[0].modules()[0]);
  const at::Tensor second = whole_delta_of(pool.adapters()[1], pool.adapters()[1].modules()[0]);
  const auto merged = [&](const std::string& out, const merge::MergeSpec& spec) {
    const Adapter made = weft::test::merge_to(dir / out, pool, spec);
    return weft::test::dense_block(made.load(made.modules()[0]));
  };

  merge::MergeSpec spec = weft::test::preset("linear", {1.0, -0.5});
  const at::Tensor sum = first - second * 0.5;
  CHECK(weft::test::relative(merged("exact", spec), sum) <= kOnBaseTolerance);
  spec.rank = weft::test::fixed_rank(6);
  // random_svd promises 0.02 % of the best error.
  CHECK(weft::test::relative(merged("six", spec), sum) <= weft::test::best_error(sum, 6) * 1.0002);

  merge::MergeSpec prune = weft::test::preset("magnitude_prune", {1.0, -0.5});
  prune.density = 0.1;
  prune.rank = weft::test::exact_rank();
  const auto pruned = [](const at::Tensor& x) {
    const auto keep = static_cast<std::int64_t>(0.1 * static_cast<double>(x.numel()));
    const at::Tensor least = std::get<0>(x.abs().flatten().topk(keep)).min();
    return x * x.abs().ge(least);
  };
  // An entry at the threshold may fall on the other side in float32; one is 0.4 % of the norm.
  CHECK(weft::test::relative(merged("pruned", prune), pruned(first) - pruned(second) * 0.5) <= 0.02);
}

TEST_CASE("merge/base: the same bytes whatever the memory and the threads") {
  const weft::test::TempDir dir;
  const Pool pool = weft::adapter::with_base(dora_inputs({"a", "b"}), dora_base());
  merge::MergeSpec spec = weft::test::preset("ties", {1.0, 1.0});
  std::vector<at::Tensor> found;
  for (const int threads : {1, 2}) {
    weft::adapter::AdapterWriter writer(dir / std::to_string(threads), pool, {at::kFloat, false});
    merge::RunOptions options;
    options.threads = threads;
    merge::merge(pool, spec, writer, options);
    writer.finish(weft::Value::make_map());
    const Adapter made = Adapter::open(dir / std::to_string(threads));
    found.push_back(weft::test::dense_block(made.load(made.modules()[0])));
  }
  CHECK(at::equal(found[0], found[1]));
}

TEST_CASE("merge/base: refused without a base, and where the base does not help") {
  const Pool two = dora_inputs({"a", "b"});
  std::string text = error_text<weft::UnsupportedError>([&] {
    merge::plan(two, weft::test::preset("linear", {1.0, 1.0}));
  });
  for (const char* part : {"a: dora: ", "b: dora: ", "base_model"}) CHECK_MESSAGE(weft::test::says(text, part), text);

  const fs::path adapters = fs::path(WEFT_SOURCE_DIR) / "tests" / "golden" / "adapters";
  const Pool pissa = Pool::open({{adapters / "pissa", "p"}});
  text = error_text<weft::UnsupportedError>([&] { merge::plan(pissa, weft::test::preset("ties", {1.0})); });
  for (const char* part : {"p: pissa: ", "base_model"}) CHECK_MESSAGE(weft::test::says(text, part), text);

  const Pool corda = weft::adapter::with_base(Pool::open({{adapters / "corda", "c"}}),
                                              BaseWeights::open(adapters / "pissa" / "base.safetensors"));
  text = error_text<weft::UnsupportedError>([&] { merge::plan(corda, weft::test::preset("ties", {1.0})); });
  CHECK_MESSAGE(weft::test::says(text, "the initial adapter"), text);

  const Pool based = weft::adapter::with_base(two, dora_base());
  merge::MergeSpec factors = weft::test::preset("linear", {1.0, 1.0});
  factors.space = merge::Space::kFactors;
  text = error_text<weft::UnsupportedError>([&] { merge::plan(based, factors); });
  CHECK_MESSAGE(weft::test::says(text, "space=delta"), text);
}

TEST_CASE("merge/base: a mutating init becomes an ordinary adapter of twice the rank") {
  const weft::test::TempDir dir;
  const fs::path pissa = fs::path(WEFT_SOURCE_DIR) / "tests" / "golden" / "adapters" / "pissa";
  const Pool pool = weft::adapter::with_base(Pool::open({{pissa, "p"}}), BaseWeights::open(pissa / "base.safetensors"));
  const Adapter half = weft::test::merge_to(dir / "half", pool, weft::test::preset("linear", {0.5}));
  const auto expected = weft::io::open_tensor_file(pissa / "expected.safetensors");
  for (const auto& m : half.modules()) {
    CHECK(m.rank == 8);
    const at::Tensor got = weft::test::dense_block(half.load(m)) * 2;
    CHECK(weft::test::relative(got, expected->load("effective/" + m.name)) <= kOnBaseTolerance);
  }
  CHECK(half.info().needs_base.empty());
}

TEST_CASE("merge/base: one adapter with weight 1 is carried as it is stored, base or not") {
  const weft::test::TempDir dir;
  const Pool pool = weft::adapter::with_base(dora_inputs({"a"}), dora_base());
  merge::MergeReport report;
  const Adapter made =
      weft::test::merge_to(dir / "out", pool, weft::test::preset("linear", {1.0}), at::kFloat, &report);
  CHECK(report.carried);
  CHECK(made.find("model.layers.0.q_proj")->has_magnitude);
}
