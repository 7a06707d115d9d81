#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <string>

#include "adapter/peft_keys.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "weft/adapter/adapter.h"

using weft::adapter::Adapter;
using weft::adapter::FullTensor;
using weft::adapter::LayerKind;
using weft::test::NamedTensors;

namespace {

Adapter open_peft(const weft::test::TempDir& dir, const std::string& more, const NamedTensors& tensors) {
  weft::test::write_peft(dir / "a", "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4" + more + "}", tensors);
  return Adapter::open(dir / "a");
}

bool any_says(const std::vector<std::string>& texts, const std::string& part) {
  for (const std::string& text : texts)
    if (text.find(part) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("adapter/peft_layout: keys with other prefixes and with the adapter's name in them") {
  at::manual_seed(5);
  for (const char* prefix : {"base_model.model.", "base_model.", "", "module.base_model.model."})
    for (const char* infix : {".", ".default.", ".my_adapter."}) {
      weft::test::TempDir dir;
      const std::string stem = std::string(prefix) + "h.1.q.lora_";
      const Adapter adapter = open_peft(dir, R"(, "use_dora": true)",
                                        {{stem + "A" + infix + "weight", at::randn({2, 4})},
                                         {stem + "B" + infix + "weight", at::randn({6, 2})},
                                         {stem + "magnitude_vector" + infix + "weight", at::ones({6})}});
      REQUIRE(adapter.modules().size() == 1);
      CHECK(adapter.modules()[0].name == "h.1.q");
      CHECK(adapter.modules()[0].has_magnitude);
      CHECK(adapter.load(adapter.modules()[0]).magnitude.sizes() == at::IntArrayRef{6});
    }
}

TEST_CASE("adapter/peft_layout: every role a key can have") {
  using weft::adapter::parse_peft_key;
  using weft::adapter::PeftRole;
  const auto is = [](const char* key, PeftRole role, const char* name) {
    const auto parsed = parse_peft_key(std::string("base_model.model.") + key, "f");
    CHECK_MESSAGE((parsed.role == role), key);
    CHECK(parsed.name == name);
  };
  is("m.q.lora_A.weight", PeftRole::kA, "m.q");
  is("m.q.lora_B.weight", PeftRole::kB, "m.q");
  is("m.q.lora_B.bias", PeftRole::kBias, "m.q");
  is("m.q.lora_B.default.bias", PeftRole::kBias, "m.q");
  is("m.e.lora_embedding_A", PeftRole::kEmbeddingA, "m.e");
  is("m.e.lora_embedding_B.default", PeftRole::kEmbeddingB, "m.e");
  is("m.q.lora_magnitude_vector", PeftRole::kMagnitude, "m.q");
  is("m.q.lora_magnitude_vector.weight", PeftRole::kMagnitude, "m.q");
  is("m.q.lora_diag", PeftRole::kDiagonal, "m.q");
  is("m.q.lora_velora_embed", PeftRole::kTrainingState, "m.q");
  is("m.q.lora_monteclora_sampler.std_prior", PeftRole::kTrainingState, "m.q");
  is("m.att.base_layer.out_proj.lora_A.weight", PeftRole::kA, "m.att.out_proj");
  is("m.e.token_adapter.trainable_tokens_delta", PeftRole::kTokenRows, "m.e.weight");
  is("m.e.base_layer.weight", PeftRole::kFull, "m.e.weight");
  is("cls.modules_to_save.default.dense.weight", PeftRole::kFull, "cls.dense.weight");
  is("cls.modules_to_save.dense.weight", PeftRole::kFull, "cls.dense.weight");
  is("cls.original_module.weight", PeftRole::kFrozenCopy, "cls.original_module.weight");
  CHECK(parse_peft_key("base_model.model.m.x.base_layer.base_layer.lora_A.weight", "f").depth == 2);
  for (const char* bad : {"m.q.lora_A", "m.q.lora_A.bias", "m.q.lora_C.weight", "m.q.lora_A.x.y.weight", "m.q.lora_E"})
    CHECK_THROWS_AS(parse_peft_key(bad, "f"), weft::InputError);
}

TEST_CASE("adapter/peft_layout: heads, biases and rows that replace the base's tensors") {
  at::manual_seed(5);
  NamedTensors tensors;
  weft::test::add_pair(tensors, "m.q", 6, 4, 2);
  tensors.emplace_back("base_model.model.cls.weight", at::randn({3, 4}));
  tensors.emplace_back("base_model.model.cls.bias", at::randn({3}));
  tensors.emplace_back("base_model.model.norm.num_batches_tracked", at::scalar_tensor(7, at::kLong));
  tensors.emplace_back("base_model.model.m.q.base_layer.bias", at::randn({6}));
  tensors.emplace_back("base_model.model.e.token_adapter.trainable_tokens_delta", at::randn({2, 4}));
  weft::test::TempDir dir;
  const Adapter adapter = open_peft(
      dir, R"(, "bias": "lora_only", "modules_to_save": ["cls"], "trainable_token_indices": {"e": [5, 7]})", tensors);
  const auto& full = adapter.full_tensors();
  REQUIRE(full.size() == 5);
  CHECK(full[0].name == "cls.bias");
  CHECK((full[0].kind == FullTensor::Kind::kModule));
  CHECK(full[1].name == "cls.weight");
  CHECK(full[2].name == "e.weight");
  CHECK((full[2].kind == FullTensor::Kind::kTokenRows));
  CHECK(full[3].name == "m.q.bias");
  CHECK((full[3].kind == FullTensor::Kind::kBias));
  CHECK(full[3].key == "base_model.model.m.q.base_layer.bias");
  CHECK((full[4].dtype == at::kLong));
  CHECK(at::equal(adapter.load_key(full[1].key), tensors[2].second));
  REQUIRE(adapter.info().warnings.size() == 1);
  CHECK(any_says(adapter.info().warnings, "not declared in modules_to_save: norm.num_batches_tracked"));
}

TEST_CASE("adapter/peft_layout: a head stored twice is listed once") {
  at::manual_seed(5);
  NamedTensors tensors;
  weft::test::add_pair(tensors, "m.q", 6, 4, 2);
  tensors.emplace_back("base_model.model.cls.weight", at::randn({3, 4}));
  tensors.emplace_back("base_model.model.cls.modules_to_save.default.weight", at::randn({3, 4}));
  weft::test::TempDir dir;
  const Adapter adapter = open_peft(dir, R"(, "modules_to_save": ["cls"])", tensors);
  REQUIRE(adapter.full_tensors().size() == 1);
  CHECK(adapter.full_tensors()[0].key == "base_model.model.cls.modules_to_save.default.weight");
  CHECK(adapter.full_tensors()[0].name == "cls.weight");
  CHECK(any_says(adapter.info().warnings, "both replace 'cls.weight'"));
  CHECK(adapter.keys().size() == 4);
}

TEST_CASE("adapter/peft_layout: real oddities open without complaint") {
  at::manual_seed(5);
  NamedTensors tensors;
  weft::test::add_pair(tensors, "transformer.h.0.attn.c_attn", 12, 4, 2);
  tensors[1].second.zero_();
  weft::test::TempDir dir;
  const Adapter adapter = open_peft(
      dir,
      R"(, "bias": "lora_only", "fan_in_fan_out": false, "base_model_name_or_path": "C:\\Modelle\\größer\\gpt2",
         "target_modules": ["attn.c_attn", "not_there"], "task_type": null, "lora_dropout": 0.05, "brand_new_key": [1])",
      tensors);
  CHECK(adapter.info().warnings.empty());
  CHECK(adapter.info().base_model == "C:\\Modelle\\größer\\gpt2");
  CHECK(adapter.full_tensors().empty());
}

TEST_CASE("adapter/peft_layout: a grouped convolution has one block per group") {
  at::manual_seed(5);
  const at::Tensor a = at::randn({4, 3, 5}), b = at::randn({6, 2, 1});
  weft::test::TempDir dir;
  weft::test::write_peft(dir / "a", R"({"peft_type": "LORA", "r": 4, "lora_alpha": 4})",
                         {{"base_model.model.c.lora_A.weight", a}, {"base_model.model.c.lora_B.weight", b}});
  const Adapter adapter = Adapter::open(dir / "a");
  const auto& m = adapter.modules()[0];
  CHECK((m.layer == LayerKind::kConv));
  CHECK(m.blocks == 2);
  CHECK(m.rank == 4);
  CHECK(m.in == 15);
  CHECK(m.kernel == std::vector<std::int64_t>{5});
  CHECK(adapter.info().variants == std::vector<std::string>{"grouped_conv"});
  const auto update = adapter.load(m);
  REQUIRE(update.blocks.size() == 2);
  CHECK(at::equal(update.blocks[1].a, a.reshape({4, 15}).narrow(0, 2, 2)));
  CHECK(at::equal(update.blocks[1].b, b.reshape({6, 2}).narrow(0, 3, 3)));
}

TEST_CASE("adapter/peft_layout: parameters of experts are told apart by how deep their pairs lie") {
  at::manual_seed(5);
  // PEFT wraps parameters in the order of registration: gate_up_proj first, so its pair lies deepest.
  const at::Tensor gate_a = at::randn({6, 4}), gate_b = at::randn({10, 6}), down_a = at::randn({6, 5}),
                   down_b = at::randn({4, 6});
  const NamedTensors tensors = {{"base_model.model.l.experts.base_layer.lora_A.weight", gate_a},
                                {"base_model.model.l.experts.base_layer.lora_B.weight", gate_b},
                                {"base_model.model.l.experts.lora_A.weight", down_a},
                                {"base_model.model.l.experts.lora_B.weight", down_b}};
  for (const char* order :
       {R"("experts.gate_up_proj", "l.experts.down_proj")", R"("experts.down_proj", "gate_up_proj")"}) {
    weft::test::TempDir dir;
    const Adapter adapter = open_peft(dir, ", \"target_parameters\": [" + std::string(order) + "]", tensors);
    REQUIRE(adapter.modules().size() == 2);
    CHECK(adapter.info().warnings.empty());
    const auto* gate = adapter.find("l.experts.gate_up_proj");
    REQUIRE(gate != nullptr);
    CHECK((gate->layer == LayerKind::kParameter));
    CHECK(gate->blocks == 3);
    CHECK(gate->rank == 2);
    CHECK(gate->out == 10);
    CHECK(gate->in == 4);
    CHECK(gate->scale == 2.0);
    const auto update = adapter.load(*gate);
    REQUIRE(update.blocks.size() == 3);
    CHECK(at::equal(update.blocks[1].a, gate_a.narrow(0, 2, 2)));
    CHECK(at::equal(update.blocks[1].b, at::stack({gate_b.select(1, 1), gate_b.select(1, 4)}, 1)));
  }
  weft::test::TempDir dir;
  const Adapter unsure = open_peft(dir, R"(, "target_parameters": ["experts.alpha", "experts.beta"])", tensors);
  CHECK(any_says(unsure.info().warnings, "is not stored"));
}

TEST_CASE("adapter/peft_layout: bare parameter names do not count for modules that a full name fits") {
  at::manual_seed(5);
  // What PEFT itself writes for Mixtral's router and experts.
  weft::test::TempDir dir;
  NamedTensors tensors = {{"base_model.model.l.mlp.experts.base_layer.lora_A.weight", at::randn({6, 4})},
                          {"base_model.model.l.mlp.experts.base_layer.lora_B.weight", at::randn({10, 6})}};
  weft::test::add_pair(tensors, "l.mlp.experts", 4, 5, 6);
  weft::test::add_pair(tensors, "l.mlp.gate", 3, 4, 2);
  const Adapter adapter =
      open_peft(dir, R"(, "target_parameters": ["gate_up_proj", "down_proj", "gate.weight"])", tensors);
  REQUIRE(adapter.modules().size() == 3);
  for (const char* name : {"l.mlp.gate.weight", "l.mlp.experts.gate_up_proj", "l.mlp.experts.down_proj"})
    CHECK(adapter.find(name) != nullptr);
}

TEST_CASE("adapter/peft_layout: block-diagonal factors by parts of the module's path") {
  at::manual_seed(5);
  NamedTensors tensors;
  weft::test::add_pair(tensors, "m.q", 6, 2, 2);  // a of 4 inputs in two blocks
  tensors.emplace_back("base_model.model.m.o.lora_A.weight", at::randn({2, 4}));
  tensors.emplace_back("base_model.model.m.o.lora_B.weight", at::randn({6, 1}));
  weft::test::add_pair(tensors, "m.x", 6, 4, 2);
  weft::test::TempDir dir;
  const Adapter adapter = open_peft(
      dir, R"(, "use_bdlora": {"target_modules_bd_a": ["m.q"], "target_modules_bd_b": ["o"], "nblocks": 2})", tensors);
  REQUIRE(adapter.modules().size() == 3);
  for (const auto& m : adapter.modules()) {
    CHECK(m.in == 4);
    CHECK(m.rank == 2);
  }
  const at::Tensor q = adapter.load(*adapter.find("m.q")).blocks[0].a;
  CHECK(at::equal(q, at::block_diag({tensors[0].second.narrow(0, 0, 1), tensors[0].second.narrow(0, 1, 1)})));
  const at::Tensor o = adapter.load(*adapter.find("m.o")).blocks[0].b;
  CHECK(at::equal(o, at::block_diag({tensors[3].second.narrow(0, 0, 3), tensors[3].second.narrow(0, 3, 3)})));
}
