#include "adapter/trained_writer.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "adapter/target_choice.h"
#include "core/staged.h"
#include "io/json.h"
#include "io/tensor_file.h"
#include "support/error_text.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace weft::adapter {
namespace {

using test::error_text;
using test::says;
using test::TempDir;
using Names = std::vector<std::string>;

const std::filesystem::path kTrainedGolden = std::filesystem::path(WEFT_SOURCE_DIR) / "tests/golden/adapters";

/// What training would have held when PEFT saved this adapter.
TrainedAdapter as_trained(const Adapter& source) {
  const Value& config = source.info().config;
  TrainedAdapter out;
  out.base_model = source.info().base_model;
  out.rank = *config.find("r")->integer(), out.alpha = *config.find("lora_alpha")->number();
  out.rslora = *config.find("use_rslora")->boolean(), out.dora = *config.find("use_dora")->boolean();
  out.fan_in_fan_out = *config.find("fan_in_fan_out")->boolean();
  out.dropout = *config.find("lora_dropout")->number(), out.bias = config.find("bias")->scalar;
  for (const ModuleInfo& module : source.modules()) {
    const ModuleUpdate update = source.load(module);
    out.modules.push_back({module.name, update.blocks[0].a, update.blocks[0].b, update.magnitude});
  }
  for (const FullTensor& tensor : source.full_tensors())
    out.biases.emplace_back(tensor.name, source.load_key(tensor.key));
  return out;
}

Names names_of(const TrainedAdapter& adapter) {
  Names out;
  for (const TrainedModule& module : adapter.modules) out.push_back(module.name);
  return out;
}

/// Two modules, rank 2.
TrainedAdapter small_adapter() {
  TrainedAdapter out;
  out.base_model = "base", out.task_type = "CAUSAL_LM";
  out.rank = 2, out.alpha = 3.0;
  for (const char* name : {"model.layers.0.q_proj", "model.layers.1.q_proj"})
    out.modules.push_back({name, at::randn({2, 5}), at::randn({4, 2}), Tensor()});
  return out;
}

std::string refusal(const TempDir& dir, const TrainedAdapter& adapter, c10::ScalarType dtype = at::kFloat) {
  return error_text([&] { write_trained(dir / "refused", adapter, names_of(adapter), dtype, false, Value()); });
}

bool same_names(const Value* got, const Value* want) {
  const auto texts = [](const Value* list) {
    Names out;
    for (const Value& item : list->list) out.push_back(item.scalar);
    std::sort(out.begin(), out.end());
    return out;
  };
  return texts(got) == texts(want);
}

}  // namespace

TEST_CASE("adapter/trained_writer: the same keys, bytes and config as PEFT saves") {
  const TempDir dir;
  for (const std::string folder : {"plain", "rslora", "dora", "dora_rslora", "bias_all", "bias_lora_only",
                                   "fan_in_fan_out", "dora_fan_in_fan_out", "float_alpha", "plain_bf16"}) {
    CAPTURE(folder);
    const Adapter source = Adapter::open(kTrainedGolden / folder);
    const TrainedAdapter trained = as_trained(source);
    Names all = names_of(trained);
    const bool conv1d = trained.fan_in_fan_out;
    all.insert(all.end(), {"model.layers.0.o_proj", "model.layers.1.o_proj", "score", "model.embed_tokens"});
    write_trained(dir / folder, trained, all, source.modules()[0].dtype, false, Value::make_map());

    const auto got = io::open_safetensors(dir / folder / "adapter_model.safetensors");
    const auto want = io::open_safetensors(source.info().tensors);
    REQUIRE(got->entries().size() == want->entries().size());
    for (const io::TensorEntry& entry : want->entries()) {
      CAPTURE(entry.name);
      REQUIRE(got->find(entry.name) != nullptr);
      CHECK((got->find(entry.name)->dtype == entry.dtype));
      CHECK(at::equal(got->load(entry.name), want->load(entry.name)));
    }
    CHECK(got->metadata() == want->metadata());

    const Value config = io::read_json(dir / folder / "adapter_config.json");
    for (const auto& [key, value] : config.map) {
      CAPTURE(key);
      const Value* theirs = source.info().config.find(key);
      REQUIRE(theirs != nullptr);
      // Not a transformers model: PEFT notes its class, which is not known from weights.
      if (key == "auto_mapping") continue;
      if (key == "target_modules")
        CHECK(same_names(&value, theirs));
      else
        CHECK(value.same_as(*theirs));
    }
    CHECK(conv1d == *config.find("fan_in_fan_out")->boolean());
  }
}

TEST_CASE("adapter/trained_writer: one rounding to a smaller dtype, the same bytes each time") {
  const TempDir dir;
  const TrainedAdapter trained = small_adapter();
  for (const char* out : {"a", "b"})
    write_trained(dir / out, trained, names_of(trained), at::kBFloat16, false, Value::make_map());
  const Adapter back = Adapter::open(dir / "a");
  REQUIRE(back.modules().size() == 2);
  CHECK(back.modules()[0].scale == 1.5);
  const ModuleUpdate update = back.load(back.modules()[1]);
  CHECK(at::equal(update.blocks[0].a, trained.modules[1].a.to(at::kBFloat16)));
  CHECK(at::equal(update.blocks[0].b, trained.modules[1].b.to(at::kBFloat16)));
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors", "weft.json"})
    CHECK(read_file(dir / "a" / file, 1 << 20) == read_file(dir / "b" / file, 1 << 20));
  const Value record = io::read_json(dir / "a" / "weft.json");
  CHECK(record.find("output")->find("dtype")->scalar == "bfloat16");
}

TEST_CASE("adapter/trained_writer: the bare model's names for feature extraction") {
  const TempDir dir;
  TrainedAdapter trained = small_adapter();
  trained.task_type = "FEATURE_EXTRACTION";
  trained.bias = "lora_only";
  trained.modules[0].name = "bert.encoder.layer.0.attention.self.query";
  trained.modules[1].name = "bert.encoder.layer.1.attention.self.query";
  trained.biases.emplace_back(trained.modules[0].name + ".bias", at::randn({4}));
  write_trained(dir / "out", trained, names_of(trained), at::kFloat, false, Value::make_map());
  const Adapter back = Adapter::open(dir / "out");
  CHECK(back.modules()[0].name == "encoder.layer.0.attention.self.query");
  REQUIRE(back.full_tensors().size() == 1);
  CHECK(back.full_tensors()[0].name == "encoder.layer.0.attention.self.query.bias");
  CHECK(says(back.keys().front(), "base_model.model.encoder.layer.0.attention.self.query"));
  // The bare DistilBERT's own first component.
  for (const std::string prefix : {"distilbert.", ""}) {
    trained.biases.clear();
    for (size_t i = 0; i < 2; ++i)
      trained.modules[i].name = prefix + "transformer.layer." + std::to_string(i) + ".attention.q_lin";
    write_trained(dir / "distil", trained, names_of(trained), at::kFloat, true, Value::make_map());
    CHECK(Adapter::open(dir / "distil").modules()[0].name == "transformer.layer.0.attention.q_lin");
  }
}

TEST_CASE("adapter/trained_writer: what cannot be written is refused by name and leaves nothing") {
  const TempDir dir;
  TrainedAdapter bad = small_adapter();
  bad.modules[1].b[1][1] = std::numeric_limits<float>::quiet_NaN();
  CHECK(says(refusal(dir, bad), "module model.layers.1.q_proj: lora_B: holds NaN or Inf after training"));
  bad = small_adapter();
  bad.modules[0].a[0][3] = 1e6;
  CHECK(says(refusal(dir, bad, at::kHalf), "module model.layers.0.q_proj: lora_A"));
  CHECK_THROWS_AS(write_trained(dir / "refused", bad, {}, at::kHalf, false, Value()), InputError);
  bad = small_adapter();
  bad.rank = 3;
  CHECK(says(refusal(dir, bad), "not of rank 3"));
  bad = small_adapter();
  bad.dora = true;
  CHECK(says(refusal(dir, bad), "needs a magnitude"));
  CHECK(std::filesystem::is_empty(dir.path()));
  write_trained(dir / "there", small_adapter(), {}, at::kFloat, false, Value());
  CHECK_THROWS_AS(write_trained(dir / "there", small_adapter(), {}, at::kFloat, false, Value()), UsageError);
  write_trained(dir / "there", small_adapter(), {}, at::kFloat, true, Value());
}

TEST_CASE("adapter/target_choice: endings where they are exact") {
  Names all;
  for (const char* layer : {"model.layers.0.", "model.layers.1.", "model.layers.2."})
    for (const char* name : {"attn.q_proj", "attn.out.dense", "mlp.dense"}) all.push_back(std::string(layer) + name);
  all.push_back("lm_head");
  const auto pick = [&](const std::vector<size_t>& at) {
    Names out;
    for (const size_t i : at) out.push_back(all[i]);
    return choose_targets(out, all);
  };
  CHECK(pick({0, 3, 6}).modules == Names{"q_proj"});
  CHECK(pick({0, 3, 6}).layers.empty());
  CHECK(pick({1, 2, 4, 5, 7, 8}).modules == Names{"dense"});
  CHECK(pick({1, 4, 7}).modules == Names{"out.dense"});
  CHECK(pick({9}).modules == Names{"lm_head"});
  const TargetChoice upper = pick({3, 5, 6, 8});
  CHECK(upper.modules == Names{"mlp.dense", "q_proj"});
  CHECK(upper.layers == std::vector<std::int64_t>{1, 2});
  CHECK(upper.layers_pattern == Names{"layers"});
  const TargetChoice uneven = pick({0, 5});
  CHECK(uneven.modules == Names{"model.layers.0.attn.q_proj", "model.layers.1.mlp.dense"});
  CHECK(uneven.layers.empty());
  CHECK(pick({0, 9}).modules == Names{"lm_head", "model.layers.0.attn.q_proj"});
}

TEST_CASE("adapter/target_choice: two stacks with the same layer numbers") {
  const Names all = {"encoder.block.0.layer.0.q", "encoder.block.1.layer.0.q", "decoder.block.0.layer.0.q",
                     "decoder.block.1.layer.0.q"};
  CHECK(choose_targets({all[0], all[2]}, all).layers == std::vector<std::int64_t>{0});
  CHECK(choose_targets({all[0], all[2]}, all).layers_pattern == Names{"block"});
  CHECK(choose_targets({all[0], all[1]}, all).modules == Names{all[0], all[1]});
}

}  // namespace weft::adapter
