// Every adapter variant: given back whole when it is alone, composed exactly in a pool, or refused by name.
#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/tensor_file.h"
#include "support/close.h"
#include "support/error_text.h"
#include "support/run_merge.h"
#include "support/temp_dir.h"
#include "support/variants.h"

namespace {

namespace merge = weft::merge;
using weft::adapter::Adapter;
using weft::adapter::Pool;
using weft::test::all_variants;
using weft::test::variant;

// Float32 factors scaled by square roots; expected values are float64.
constexpr double kVariantTolerance = 1e-6;

Adapter open_variant(const std::string& name) { return Adapter::open(variant(name), name); }

void check_same_files(const Adapter& made, const Adapter& original) {
  for (const std::string& key : original.keys()) {
    CAPTURE(key);
    const at::Tensor x = made.load_key(key), y = original.load_key(key);
    CHECK((x.scalar_type() == y.scalar_type()));
    CHECK(at::equal(x, y));
  }
  CHECK(made.keys().size() == original.keys().size());
  for (const auto& [key, value] : original.info().config.map) {
    CAPTURE(key);
    const weft::Value* kept = made.info().config.find(key);
    REQUIRE(kept != nullptr);
    CHECK(weft::io::to_json(*kept, -1) == weft::io::to_json(value, -1));
  }
}

at::ScalarType stored_dtype(const Adapter& a) { return a.modules().empty() ? at::kFloat : a.modules()[0].dtype; }

/// Σ wᵢ Δᵢ of one block over the members that have the module, from the golden files; undefined if none has.
class GoldenSum {
 public:
  GoldenSum(const std::vector<std::string>& names, std::vector<double> weights) : weights_(std::move(weights)) {
    for (const std::string& name : names)
      files_.push_back(weft::io::open_tensor_file(variant(name) / "expected.safetensors"));
  }
  at::Tensor at_key(const std::string& key) const {
    at::Tensor sum;
    for (size_t i = 0; i < files_.size(); ++i) {
      if (files_[i]->find(key) == nullptr) continue;
      const at::Tensor x = files_[i]->load(key) * weights_[i];
      sum = sum.defined() ? sum + x : x;
    }
    return sum;
  }
  /// All keys that start with `prefix`.
  std::set<std::string> keys(const std::string& prefix) const {
    std::set<std::string> out;
    for (const auto& file : files_)
      for (const auto& entry : file->entries())
        if (entry.name.starts_with(prefix)) out.insert(entry.name);
    return out;
  }

 private:
  std::vector<std::unique_ptr<weft::io::TensorFile>> files_;
  std::vector<double> weights_;
};

/// Every golden delta and bias of the members is in `made`, and nothing else.
void check_exact_sum(const Adapter& made, const GoldenSum& golden) {
  std::set<std::string> met;
  for (const auto& m : made.modules()) {
    CAPTURE(m.name);
    const auto update = made.load(m);
    const bool experts = golden.keys("delta/" + m.name + "/").size() > 0;
    for (std::int64_t block = 0; block < (experts ? m.blocks : 1); ++block) {
      const std::string key = "delta/" + m.name + (experts ? "/" + std::to_string(block) : "");
      met.insert(key);
      const at::Tensor expected = golden.at_key(key);
      REQUIRE(expected.defined());
      CHECK(weft::test::relative(weft::test::dense_block(update, experts ? block : -1), expected) <= kVariantTolerance);
    }
    const at::Tensor bias = golden.at_key("bias/" + m.name);
    // PEFT's lora_bias is one switch for all modules, so modules without one get zeros.
    if (bias.defined()) REQUIRE(update.bias.defined());
    if (update.bias.defined())
      CHECK(weft::test::relative(update.bias.to(at::kDouble) * m.scale,
                                 bias.defined() ? bias : at::zeros_like(update.bias)) <= kVariantTolerance);
  }
  CHECK(met == golden.keys("delta/"));
}

/// True if the pool was composed, exactly; false if it was refused by name.
bool exact_or_refused(const std::vector<Adapter>& members, const std::vector<std::string>& names) {
  const std::vector<double> weights = {0.75, -0.3};  // far from cancelling any two of these adapters
  const Pool pool(members);
  const weft::test::TempDir dir;
  try {
    check_exact_sum(weft::test::merge_to(dir / "out", pool, weft::test::preset("linear", weights)),
                    GoldenSum(names, weights));
    return true;
  } catch (const weft::InputError& refusal) {
    CHECK(refusal.blame() == weft::Blame::kInput);
    const std::string text = refusal.what();
    const bool named = std::any_of(members.begin(), members.end(),
                                   [&](const Adapter& a) { return text.find(a.info().name) != std::string::npos; });
    CHECK_MESSAGE(named, text);
    CHECK_FALSE(std::filesystem::exists(dir / "out"));
    return false;
  }
}

}  // namespace

TEST_CASE("merge/variants: alone with weight 1, every variant comes back bit for bit") {
  for (const std::string& name : all_variants()) {
    CAPTURE(name);
    const Adapter original = open_variant(name);
    for (const char* method : {"linear", "task_arithmetic", "cat"}) {
      if (method != std::string("linear") && name != "dora") continue;  // the same parts
      const weft::test::TempDir dir;
      merge::MergeReport report;
      const Adapter made = weft::test::merge_to(dir / "out", Pool({original}), weft::test::preset(method, {1.0}),
                                                stored_dtype(original), &report);
      CHECK(report.carried);
      check_same_files(made, original);
    }
  }
}

TEST_CASE("merge/variants: what has no plain delta is refused by name, whatever the method") {
  int refused = 0;
  for (const std::string& name : all_variants()) {
    const Adapter original = open_variant(name);
    if (!weft::test::is_refused(original)) continue;
    CAPTURE(name);
    ++refused;
    const std::string& reason = original.info().refusal.empty() ? original.info().needs_base : original.info().refusal;
    for (const auto& m : merge::methods()) {
      const bool sum = m.parts == merge::find_method("linear").parts;
      const auto said = [&](const Pool& pool, double weight) {
        return weft::test::error_text<weft::UnsupportedError>(
            [&] { merge::plan(pool, weft::test::preset(m.name, {weight})); });
      };
      if (!sum) CHECK(said(Pool({original}), 1.0).find(reason) != std::string::npos);
      CHECK(said(Pool({original}), 0.5).find(name + ": " + reason) != std::string::npos);
      CHECK(said(Pool({original, original.renamed("again")}), 1.0).find("again: " + reason) != std::string::npos);
    }
  }
  CHECK(refused >= 15);
}

TEST_CASE("merge/variants: with a plain adapter, exact or refused by name") {
  const Adapter plain = open_variant("plain");
  std::set<std::string> composed;
  for (const std::string& name : all_variants()) {
    CAPTURE(name);
    if (name != "plain" && exact_or_refused({plain, open_variant(name)}, {"plain", name})) composed.insert(name);
  }
  for (const char* name : {"rslora", "lora_bias", "patterns", "patterns_rslora", "eva_like", "fan_in_fan_out", "bin",
                           "plain_bf16", "velora", "zero_b", "mica"})
    CHECK_MESSAGE(composed.count(name) == 1, name);
}

TEST_CASE("merge/variants: two of a kind, exact or refused by name") {
  std::set<std::string> composed;
  for (const std::string& name : all_variants()) {
    CAPTURE(name);
    const Adapter one = open_variant(name);
    if (exact_or_refused({one, one.renamed(name + "2")}, {name, name})) composed.insert(name);
  }
  for (const char* name : {"conv1d", "conv2d", "conv2d_grouped", "conv3d", "embedding", "tied_embedding", "bdlora",
                           "qalora", "target_parameters", "target_parameters_transposed", "layer_replication"})
    CHECK_MESSAGE(composed.count(name) == 1, name);
}

TEST_CASE("merge/variants: full tensors of one owner with weight 1 are carried, otherwise refused with the way out") {
  const Adapter plain = open_variant("plain");
  for (const char* name : {"modules_to_save", "undeclared_head", "bias_lora_only", "bias_all", "trainable_tokens"}) {
    CAPTURE(name);
    const Adapter owner = open_variant(name);
    REQUIRE_FALSE(owner.full_tensors().empty());
    const weft::test::TempDir dir;
    const Adapter made = weft::test::merge_to(dir / "out", Pool({plain, owner}), weft::test::preset("linear", {-2, 1}));
    CHECK(made.full_tensors().size() == owner.full_tensors().size());
    for (const auto& t : owner.full_tensors()) {
      CAPTURE(t.key);
      CHECK(at::equal(made.load_key(t.key), owner.load_key(t.key)));
    }
    for (const double weight : {0.5, -1.0}) {
      const std::string text = weft::test::error_text<weft::UnsupportedError>([&] {
        merge::plan(Pool({plain, owner}), weft::test::preset("linear", {1, weight}));
      });
      CHECK(text.find(owner.full_tensors()[0].name) != std::string::npos);
      CHECK(text.find("full_tensors=drop") != std::string::npos);
    }
  }
}

TEST_CASE("merge/variants: full tensors of two owners are taken, averaged or dropped as told") {
  const weft::test::TempDir dir;
  at::manual_seed(3);
  const Adapter one = open_variant("modules_to_save");
  const Adapter two = weft::test::with_other_numbers(one, dir / "two");
  const Pool pool({one, two});
  auto spec = weft::test::preset("linear", {0.7, 0.3});
  CHECK_THROWS_AS(merge::plan(pool, spec), weft::UnsupportedError);
  spec.adapters.clear();
  CHECK_THROWS_AS(merge::plan(pool, spec), weft::UnsupportedError);
  const auto run = [&](const std::string& rule, const char* out) {
    spec.full_tensors = rule;
    return weft::test::merge_to(dir / out, pool, spec);
  };
  const Adapter taken = run("from:two", "from"), mean = run("mean", "mean"), none = run("drop", "drop");
  CHECK(none.full_tensors().empty());
  REQUIRE(taken.full_tensors().size() == one.full_tensors().size());
  REQUIRE(mean.full_tensors().size() == one.full_tensors().size());
  for (const auto& t : one.full_tensors()) {
    CHECK(at::equal(taken.load_key(t.key), two.load_key(t.key)));
    const at::Tensor middle = (one.load_key(t.key).to(at::kDouble) + two.load_key(t.key).to(at::kDouble)) / 2;
    CHECK(weft::test::relative(mean.load_key(t.key), middle) <= 1e-7);  // one rounding to float32
  }
  spec.full_tensors = "drop";
  const auto planned = merge::plan(pool, spec).warnings;
  CHECK(std::any_of(planned.begin(), planned.end(),
                    [](const std::string& w) { return w.find("dropped: score.") != std::string::npos; }));
  spec.full_tensors = "from:three";
  CHECK_THROWS_AS(merge::plan(pool, spec), weft::UsageError);
}

TEST_CASE("merge/variants: token rows have no mean") {
  const Adapter one = open_variant("trainable_tokens");
  auto spec = weft::test::preset("linear", {1, 1});
  spec.full_tensors = "mean";
  CHECK_THROWS_WITH_AS(merge::plan(Pool({one, one.renamed("again")}), spec), doctest::Contains("token rows"),
                       weft::UnsupportedError);
}
