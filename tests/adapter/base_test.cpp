#include "weft/adapter/base.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "support/close.h"
#include "support/error_text.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;
using weft::adapter::Adapter;
using weft::adapter::BaseWeights;
using weft::test::error_text;
using weft::test::NamedTensors;
using weft::test::relative;
using weft::test::says;

// Factors and base are stored in float32 and the inits were computed by PEFT in float32: a few hundred times 6e-8.
constexpr double kBaseTolerance = 1e-5;

fs::path golden_adapter(const std::string& name) {
  return fs::path(WEFT_SOURCE_DIR) / "tests" / "golden" / "adapters" / name;
}

/// The dense delta of a module put on its base, float64.
at::Tensor whole_delta(const Adapter& adapter, const std::string& module) {
  const auto* info = adapter.find(module);
  REQUIRE(info != nullptr);
  const auto update = adapter.load(*info);
  REQUIRE(update.blocks.size() == 1);
  CHECK_FALSE(update.magnitude.defined());
  CHECK(update.dense.defined() == info->has_dense);
  CHECK(update.blocks[0].a.size(0) == info->rank);
  const at::Tensor low = weft::test::dense(update.blocks[0]);
  return update.dense.defined() ? low + update.dense.to(at::kDouble) : low;
}

constexpr const char* kDoraConfig =
    R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "use_dora": true, "target_modules": ["q"])";

/// A DoRA adapter with one module `model.layers.0.q` [6, 6].
Adapter square_dora(const fs::path& dir, const std::string& more = "}") {
  at::manual_seed(5);
  NamedTensors tensors;
  weft::test::add_pair(tensors, "model.layers.0.q", 6, 6, 2);
  tensors.emplace_back("base_model.model.model.layers.0.q.lora_magnitude_vector", at::rand({6}) + 0.5);
  return Adapter::open(weft::test::write_peft(dir, kDoraConfig + more, tensors));
}

/// diag(m / ‖rows of w + sba‖)(w + sba) − w in float64.
at::Tensor dora_delta(const Adapter& adapter, const at::Tensor& weight) {
  const auto update = adapter.load(adapter.modules()[0]);
  const at::Tensor w = weight.to(at::kDouble), v = w + weft::test::dense(update.blocks[0]);
  const at::Tensor norms = v.pow(2).sum(1, true).sqrt();
  return update.magnitude.to(at::kDouble).reshape({-1, 1}) / norms * v - w;
}

std::string base_refusal(const Adapter& adapter, const BaseWeights& base) {
  return error_text<weft::InputError>([&] { weft::adapter::with_base(adapter, base); });
}

}  // namespace

TEST_CASE("adapter/base: every golden variant that needs the base gives its ordinary delta") {
  for (const char* name :
       {"dora", "dora_conv", "dora_embedding", "dora_fan_in_fan_out", "dora_rslora", "pissa", "olora", "kasa"}) {
    CAPTURE(name);
    const fs::path folder = golden_adapter(name);
    const Adapter stored = Adapter::open(folder);
    const Adapter made = weft::adapter::with_base(stored, BaseWeights::open(folder / "base.safetensors"));
    CHECK(made.info().needs_base.empty());
    CHECK(made.info().name == stored.info().name);
    const auto expected = weft::io::open_tensor_file(folder / "expected.safetensors");
    for (const auto& m : made.modules()) {
      CAPTURE(m.name);
      CHECK_FALSE(m.has_magnitude);
      CHECK(relative(whole_delta(made, m.name), expected->load("effective/" + m.name)) <= kBaseTolerance);
      made.release(m);
    }
    CHECK_FALSE(made.as_stored().info().needs_base.empty());
    CHECK(made.renamed("x").as_stored().info().name == "x");
  }
}

TEST_CASE("adapter/base: what a base cannot help comes back unchanged") {
  const BaseWeights base = BaseWeights::open(golden_adapter("pissa") / "base.safetensors");
  for (const char* name : {"pissa_niter", "corda", "lora_ga", "loftq"}) {
    CAPTURE(name);
    const Adapter made = weft::adapter::with_base(Adapter::open(golden_adapter(name)), base);
    CHECK_FALSE(made.info().needs_base.empty());
  }
  const Adapter plain = weft::adapter::with_base(Adapter::open(golden_adapter("plain")), base);
  CHECK_FALSE(plain.load(plain.modules()[0]).dense.defined());
}

TEST_CASE("adapter/base: a square weight is stored [in, out] where fan_in_fan_out says so") {
  const weft::test::TempDir dir;
  const at::Tensor w = at::randn({6, 6});
  weft::test::write_tensors(dir / "base" / "model.safetensors", {{"model.layers.0.q.weight", w}});
  const BaseWeights base = BaseWeights::open(dir / "base");
  const Adapter upright = square_dora(dir / "a"), turned = square_dora(dir / "b", ", \"fan_in_fan_out\": true}");
  CHECK(relative(whole_delta(with_base(upright, base), "model.layers.0.q"), dora_delta(upright, w)) <= kBaseTolerance);
  CHECK(relative(whole_delta(with_base(turned, base), "model.layers.0.q"), dora_delta(turned, w.t())) <=
        kBaseTolerance);

  // Weights of the same name with a bias know better: GPT-2's attn.c_proj is square, its mlp.c_proj is not.
  weft::test::write_tensors(dir / "conv1d" / "model.safetensors", {{"model.layers.0.q.weight", w},
                                                                   {"model.layers.1.q.weight", at::zeros({8, 6})},
                                                                   {"model.layers.1.q.bias", at::zeros({6})}});
  const BaseWeights conv1d = BaseWeights::open(dir / "conv1d");
  CHECK(conv1d.is_transposed(upright.modules()[0], false));
  CHECK(relative(whole_delta(with_base(upright, conv1d), "model.layers.0.q"), dora_delta(upright, w.t())) <=
        kBaseTolerance);
}

TEST_CASE("adapter/base: weights are found with and without the model's prefix, in half precision and in shards") {
  const weft::test::TempDir dir;
  const Adapter adapter = square_dora(dir / "a");
  const at::Tensor w = at::randn({6, 6}).to(at::kBFloat16);
  const at::Tensor expected = dora_delta(adapter, w);
  for (const char* key :
       {"layers.0.q.weight", "language_model.model.layers.0.q.weight", "transformer.layers.0.q.weight"}) {
    CAPTURE(key);
    const fs::path folder = dir / std::string(key);
    weft::test::write_tensors(folder / "model-00002-of-00002.safetensors", {{key, w}});
    weft::test::write_tensors(folder / "model-00001-of-00002.safetensors", {{"wte.weight", at::zeros({3, 6})}});
    weft::test::write_text(folder / "model.safetensors.index.json",
                           std::string(R"({"weight_map": {"wte.weight": "model-00001-of-00002.safetensors", ")") + key +
                               R"(": "model-00002-of-00002.safetensors"}})");
    const Adapter made = with_base(adapter, BaseWeights::open(folder));
    CHECK(relative(whole_delta(made, "model.layers.0.q"), expected) <= kBaseTolerance);
  }
}

TEST_CASE("adapter/base: a base that does not fit is explained") {
  const weft::test::TempDir dir;
  const Adapter adapter = square_dora(dir / "style");
  const auto base_of = [&](const std::string& name, const NamedTensors& tensors) {
    weft::test::write_tensors(dir / name / "model.safetensors", tensors);
    return BaseWeights::open(dir / name);
  };
  std::string text = base_refusal(adapter, base_of("other", {{"model.layers.0.k.weight", at::zeros({6, 6})}}));
  for (const char* part : {"style", "model.layers.0.q", "the nearest is 'model.layers.0.k.weight'", "other"})
    CHECK_MESSAGE(weft::test::says(text, part), text);
  text = base_refusal(adapter, base_of("small", {{"model.layers.0.q.weight", at::zeros({6, 5})}}));
  CHECK_MESSAGE(weft::test::says(text, "'model.layers.0.q.weight' is [6, 5], but the adapter's delta needs [6, 6]"),
                text);
  text = base_refusal(adapter, base_of("int8", {{"model.layers.0.q.weight", at::zeros({6, 6}, at::kChar)}}));
  CHECK_MESSAGE(weft::test::says(text, "before quantisation"), text);
  text = base_refusal(adapter, base_of("two", {{"bert.layers.0.q.weight", at::zeros({6, 6})},
                                               {"layers.0.q.weight", at::zeros({6, 6})}}));
  CHECK_MESSAGE(weft::test::says(text, "may be 'bert.layers.0.q.weight' or 'layers.0.q.weight'"), text);

  at::Tensor broken = at::ones({6, 6});
  broken[2][3] = std::numeric_limits<double>::quiet_NaN();
  const Adapter on_broken = with_base(adapter, base_of("nan", {{"model.layers.0.q.weight", broken}}));
  text = error_text<weft::InputError>([&] { on_broken.load(on_broken.modules()[0]); });
  CHECK_MESSAGE(weft::test::says(text, "holds nan at [2, 3] (1 such value); the base model is broken"), text);
}

TEST_CASE("adapter/base: a row that DoRA cannot scale is an error, not a NaN") {
  const weft::test::TempDir dir;
  NamedTensors tensors = {{"base_model.model.model.layers.0.q.lora_A.weight", at::zeros({2, 6})},
                          {"base_model.model.model.layers.0.q.lora_B.weight", at::zeros({6, 2})},
                          {"base_model.model.model.layers.0.q.lora_magnitude_vector", at::ones({6})}};
  const Adapter adapter = Adapter::open(weft::test::write_peft(dir / "a", std::string(kDoraConfig) + "}", tensors));
  weft::test::write_tensors(dir / "base" / "model.safetensors", {{"model.layers.0.q.weight", at::zeros({6, 6})}});
  const Adapter made = with_base(adapter, BaseWeights::open(dir / "base"));
  const std::string text = error_text<weft::InputError>([&] { made.load(made.modules()[0]); });
  CHECK_MESSAGE(weft::test::says(text, "model.layers.0.q"), text);
}

TEST_CASE("adapter/base: checkpoints that are not there, or point elsewhere") {
  const weft::test::TempDir dir;
  std::string text = error_text<weft::InputError>([&] { BaseWeights::open("no-such-org/no-such-model"); });
  CHECK_MESSAGE(weft::test::says(text, "local folder"), text);
  fs::create_directories(dir / "empty");
  text = error_text<weft::InputError>([&] { BaseWeights::open(dir / "empty"); });
  CHECK_MESSAGE(weft::test::says(text, "expected model.safetensors"), text);
  for (const char* target : {"../secret.safetensors", "/etc/passwd", ".."}) {
    weft::test::write_text(dir / "out" / "model.safetensors.index.json",
                           std::string(R"({"weight_map": {"w": ")") + target + "\"}}");
    text = error_text<weft::FormatError>([&] { BaseWeights::open(dir / "out"); });
    CHECK_MESSAGE(weft::test::says(text, "expected the name of a file beside it"), text);
  }
  weft::test::write_text(dir / "gone" / "model.safetensors.index.json", R"({"weight_map": {"w": "a.safetensors"}})");
  text = error_text<weft::InputError>([&] { BaseWeights::open(dir / "gone"); });
  CHECK_MESSAGE(weft::test::says(text, "a.safetensors"), text);
}
