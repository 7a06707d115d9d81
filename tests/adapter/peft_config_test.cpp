#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "adapter/peft_config.h"
#include "io/json.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "weft/adapter/adapter.h"

using weft::adapter::Adapter;
using weft::adapter::PeftConfig;

namespace {

PeftConfig config_of(const std::string& json) {
  return weft::adapter::parse_peft_config(weft::io::parse_json(json, "c.json"), "c.json");
}

/// A LORA config with more in it.
PeftConfig lora_with(const std::string& more) { return config_of("{\"peft_type\": \"LORA\", " + more + "}"); }

}  // namespace

TEST_CASE("adapter/peft_config: defaults of an almost empty config") {
  const PeftConfig c = config_of(R"({"peft_type": "LORA", "r": null})");
  CHECK(c.rank == 8);
  CHECK(c.alpha == 8.0);
  CHECK_FALSE(c.rslora);
  CHECK(c.warnings.empty());
  CHECK(weft::adapter::peft_variants(c).empty());
}

TEST_CASE("adapter/peft_config: the first pattern wins, ranks and alphas apart from each other") {
  const PeftConfig c = lora_with(
      R"("r": 8, "lora_alpha": 16.5, "rank_pattern": {"up_proj": 4, "layers.1.mlp.up_proj": 16, "p_proj": 2},
         "alpha_pattern": {"layers.1.mlp.up_proj": 3, "^model\\.layers\\..*": 5})");
  CHECK(c.rank_of("model.layers.1.mlp.up_proj") == 4);
  CHECK(c.rank_of("model.layers.1.mlp.down_proj") == 8);
  CHECK(c.alpha_of("model.layers.1.mlp.up_proj") == 3.0);
  CHECK(c.alpha_of("model.layers.2.mlp.up_proj") == 5.0);
  CHECK(c.alpha_of("lm_head") == 16.5);
  CHECK(c.scale_of(16.5, 8) == 16.5 / 8);
  const PeftConfig rs = lora_with(R"("use_rslora": true)");
  CHECK(rs.scale_of(6.0, 4) == 3.0);
}

TEST_CASE("adapter/peft_config: inits that change the base are told from those that do not") {
  for (const char* name : {"pissa", "pissa_niter_16", "olora", "OLoRA", "corda", "lora_ga", "loftq"}) {
    const PeftConfig c = lora_with("\"init_lora_weights\": \"" + std::string(name) + "\"");
    CHECK_FALSE_MESSAGE(weft::adapter::peft_needs_base(c).empty(), name);
    CHECK(weft::adapter::peft_variants(c).size() == 1);
  }
  for (const char* value : {"true", "false", "\"gaussian\"", "\"eva\"", "\"orthogonal\"", "\"mica\"", "null"})
    CHECK(weft::adapter::peft_needs_base(lora_with("\"init_lora_weights\": " + std::string(value))).empty());
}

TEST_CASE("adapter/peft_config: every variant has its name") {
  const std::pair<const char*, const char*> cases[] = {{R"("use_rslora": true)", "rslora"},
                                                       {R"("use_dora": true)", "dora"},
                                                       {R"("lora_bias": true)", "lora_bias"},
                                                       {R"("use_qalora": true)", "qalora"},
                                                       {R"("use_bdlora": {"nblocks": 2})", "bdlora"},
                                                       {R"("kasa_config": {"beta": 0.1})", "kasa"},
                                                       {R"("init_lora_weights": "mica")", "mica"},
                                                       {R"("velora_config": {"num_groups": 2})", "velora"},
                                                       {R"("monteclora_config": {"num_samples": 8})", "monteclora"},
                                                       {R"("alora_invocation_tokens": [1, 2])", "alora"},
                                                       {R"("arrow_config": {"top_k": 2})", "arrow"},
                                                       {R"("init_lora_weights": "pissa")", "pissa"}};
  for (const auto& [json, name] : cases)
    CHECK_MESSAGE(weft::adapter::peft_variants(lora_with(json)) == std::vector<std::string>{name}, name);
}

TEST_CASE("adapter/peft_config: unknown options are tolerated, those that may matter are named") {
  const PeftConfig c = lora_with(
      R"("brand_new": 1, "use_later": false, "later_config": {}, "use_later_too": true, "other_config": {"a": 1},
         "loftq_config": {}, "eva_config": null, "runtime_config": {"ephemeral_gpu_offload": false})");
  REQUIRE(c.warnings.size() == 2);
  CHECK(c.warnings[0].find("use_later_too") != std::string::npos);
  CHECK(c.warnings[1].find("other_config") != std::string::npos);
}

TEST_CASE("adapter/peft_config: methods that are not LoRA are refused by name, with a way out") {
  for (const char* type : {"ADALORA",
                           "ADAMSS",
                           "ADAPTION_PROMPT",
                           "BEFT",
                           "BOFT",
                           "BONE",
                           "C3A",
                           "CARTRIDGE",
                           "CPT",
                           "DELORA",
                           "FOURIERFT",
                           "GRALORA",
                           "HIRA",
                           "HRA",
                           "IA3",
                           "LILY",
                           "LN_TUNING",
                           "LOHA",
                           "LOKR",
                           "MISS",
                           "MULTITASK_PROMPT_TUNING",
                           "OFT",
                           "OSF",
                           "POLY",
                           "PREFIX_TUNING",
                           "PROMPT_TUNING",
                           "PSOFT",
                           "PVERA",
                           "P_TUNING",
                           "RANDLORA",
                           "ROAD",
                           "SHIRA",
                           "TINYLORA",
                           "TRAINABLE_TOKENS",
                           "UNILORA",
                           "VBLORA",
                           "VERA",
                           "WAVEFT",
                           "XLORA"}) {
    const std::string text = weft::adapter::peft_refusal(config_of("{\"peft_type\": \"" + std::string(type) + "\"}"));
    CHECK_MESSAGE(text.find(" is recognised") != std::string::npos, type);
    CHECK_MESSAGE(text.find("a LoRA") != std::string::npos, type);
  }
  const std::string text = weft::adapter::peft_refusal(config_of(R"({"peft_type": "FROM_2030"})"));
  CHECK(text.find("FROM_2030") != std::string::npos);
  CHECK(weft::adapter::peft_refusal(lora_with("\"r\": 2")).empty());
  CHECK_FALSE(weft::adapter::peft_refusal(lora_with("\"enable_lora\": [true, false]")).empty());
}

TEST_CASE("adapter/peft_config: a refused adapter opens, lists its keys and has no modules") {
  weft::test::TempDir dir;
  weft::test::write_peft(dir / "a", R"({"peft_type": "LOKR", "r": 2})",
                         {{"base_model.model.m.q.lokr_w1", at::ones({2, 2})}});
  const Adapter adapter = Adapter::open(dir / "a");
  CHECK(adapter.info().type == "lokr");
  CHECK(adapter.info().refusal.find("LoKr") == 0);
  CHECK(adapter.modules().empty());
  CHECK(adapter.keys() == std::vector<std::string>{"base_model.model.m.q.lokr_w1"});
  weft::test::write_text(dir / "x" / "adapter_config.json", R"({"peft_type": "XLORA"})");
  CHECK_THROWS_AS(Adapter::open(dir / "x"), weft::UnsupportedError);
}
