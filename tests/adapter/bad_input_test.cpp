#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>

#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "weft/adapter/adapter.h"

using weft::adapter::Adapter;
using weft::test::NamedTensors;

namespace {

constexpr const char* kPlainConfig = R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4})";

/// Runs and checks that an InputError (or one of its kinds) says every one of `parts`.
void refuses(const std::function<void()>& run, std::initializer_list<std::string> parts) {
  try {
    run();
    FAIL("was accepted");
  } catch (const weft::InputError& e) {
    const std::string text = e.what();
    for (const std::string& part : parts) CHECK_MESSAGE(text.find(part) != std::string::npos, text);
  }
}

NamedTensors one_pair() {
  at::manual_seed(3);
  NamedTensors tensors;
  weft::test::add_pair(tensors, "m.q", 6, 4, 2);
  return tensors;
}

void refuses_folder(const std::string& config, const NamedTensors& tensors, std::initializer_list<std::string> parts) {
  weft::test::TempDir dir;
  weft::test::write_peft(dir / "a", config, tensors);
  refuses([&] { Adapter::open(dir / "a"); }, parts);
}

}  // namespace

TEST_CASE("adapter/bad: halves of a pair that are missing or do not fit") {
  NamedTensors tensors = one_pair();
  refuses_folder(kPlainConfig, {tensors[0]}, {"adapter_model.safetensors", "m.q", "no lora_B.weight"});
  refuses_folder(kPlainConfig, {tensors[1]}, {"m.q", "no lora_A.weight"});
  refuses_folder(kPlainConfig, {tensors[0], {tensors[1].first, at::zeros({6, 3})}},
                 {"lora_A.weight' [2, 4]", "lora_B.weight' [6, 3]", "do not fit"});
  refuses_folder(kPlainConfig, {tensors[0], {tensors[1].first, at::zeros({12})}}, {"at least 2 dimensions"});
  refuses_folder(kPlainConfig, {tensors[0], {tensors[1].first, at::zeros({6, 2, 1, 1})}},
                 {"do not fit", "convolution"});
  refuses_folder(kPlainConfig, {{tensors[0].first, at::zeros({2, 4, 3})}, {tensors[1].first, at::zeros({6, 2, 3})}},
                 {"kernel of size 1"});
  refuses_folder(kPlainConfig, {{tensors[0].first, at::zeros({2, 0})}, tensors[1]},
                 {"lora_A.weight", "empty dimension"});
  refuses_folder(kPlainConfig, {{"base_model.model.e.lora_embedding_A", at::zeros({2, 9})}}, {"no lora_embedding_B"});
  refuses_folder(kPlainConfig, {{"base_model.model.m.q.lora_B.bias", at::zeros({6})}}, {"m.q", "no lora_A.weight"});
}

TEST_CASE("adapter/bad: config and tensors that disagree") {
  const NamedTensors tensors = one_pair();
  refuses_folder(R"({"peft_type": "LORA", "r": 3, "lora_alpha": 4})", tensors,
                 {"lora_A.weight' [2, 4]", "rank 2", "adapter_config.json", "r = 3"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "rank_pattern": {"q": 4}})", tensors, {"rank 2", "r = 4"});
  refuses_folder(R"({"peft_type": "LORA"})", tensors, {"rank 2", "r = 8"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "use_dora": true})", tensors,
                 {"m.q", "no lora_magnitude_vector", "use_dora"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "lora_bias": true})", tensors, {"m.q", "no lora_B.bias"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "kasa_config": {"beta": 1}})", tensors, {"m.q", "no lora_diag"});
  NamedTensors more = tensors;
  more.emplace_back("base_model.model.m.q.lora_magnitude_vector", at::ones({6}));
  refuses_folder(kPlainConfig, more, {"m.q", "has a lora_magnitude_vector", "does not set use_dora"});
  more.back().second = at::ones({5});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "use_dora": true})", more, {"[5]", "should hold 6 numbers"});
  more.back() = {"base_model.model.e.token_adapter.trainable_tokens_delta", at::ones({3, 4})};
  refuses_folder(kPlainConfig, more, {"trainable_tokens_delta", "trainable_token_indices"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "trainable_token_indices": {"e": [1, 2]}})", more,
                 {"holds 3 token rows", "lists 2 tokens"});
}

TEST_CASE("adapter/bad: NaN and Inf are found when a module is loaded, with their place") {
  for (const auto dtype : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16}) {
    NamedTensors tensors = one_pair();
    for (auto& [name, tensor] : tensors) tensor = tensor.to(dtype);
    weft::test::TempDir dir;
    tensors[1].second[4][1] = std::numeric_limits<double>::quiet_NaN();
    weft::test::write_peft(dir / "nan", kPlainConfig, tensors);
    const Adapter nan = Adapter::open(dir / "nan");
    refuses([&] { nan.load(nan.modules()[0]); }, {"base_model.model.m.q.lora_B.weight", "nan", "[4, 1]"});
    tensors[1].second[4][1] = -std::numeric_limits<double>::infinity();
    weft::test::write_peft(dir / "inf", kPlainConfig, tensors);
    const Adapter inf = Adapter::open(dir / "inf");
    refuses([&] { inf.load(inf.modules()[0]); }, {"lora_B.weight", "-inf", "[4, 1]"});
  }
}

TEST_CASE("adapter/bad: finite numbers whose sum overflows are no error") {
  NamedTensors tensors = one_pair();
  tensors[0].second.fill_(3e38);
  weft::test::TempDir dir;
  const Adapter adapter = Adapter::open(weft::test::write_peft(dir / "a", kPlainConfig, tensors));
  CHECK(at::equal(adapter.load(adapter.modules()[0]).blocks[0].a, tensors[0].second));
}

TEST_CASE("adapter/bad: dtypes that are no floating point") {
  NamedTensors tensors = one_pair();
  tensors[0].second = at::ones({2, 4}, at::kInt);
  refuses_folder(kPlainConfig, tensors, {"lora_A.weight", "int32", "expected float64, float32, float16 or bfloat16"});
}

TEST_CASE("adapter/bad: one part stored under two keys, two adapters in one file, foreign parts") {
  NamedTensors tensors = one_pair();
  tensors.emplace_back("base_model.model.m.q.lora_A.default.weight", at::zeros({2, 4}));
  refuses_folder(kPlainConfig, tensors, {"m.q.lora_A.weight", "m.q.lora_A.default.weight", "same part"});
  tensors = one_pair();
  tensors.emplace_back("base_model.model.m.v.lora_A.one.weight", at::zeros({2, 4}));
  tensors.emplace_back("base_model.model.m.v.lora_B.two.weight", at::zeros({6, 2}));
  refuses_folder(kPlainConfig, tensors, {"more than one adapter", "'one'", "'two'"});
  tensors = one_pair();
  tensors.emplace_back("base_model.model.m.q.lora_E", at::zeros({2, 1}));
  refuses_folder(kPlainConfig, tensors, {"m.q.lora_E", "expected lora_A.weight"});
  tensors.back() = {"base_model.model.m.q.base_layer.lora_A.weight", at::zeros({2, 4})};
  tensors.emplace_back("base_model.model.m.q.base_layer.lora_B.weight", at::zeros({6, 2}));
  refuses_folder(kPlainConfig, tensors, {"m.q", "target_parameters"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "target_parameters": ["q.a", "q.b"]})", {tensors[2], tensors[3]},
                 {"m.q", "incomplete"});
}

TEST_CASE("adapter/bad: files that are missing, empty or not what they should be") {
  weft::test::TempDir dir;
  refuses([&] { Adapter::open(dir / "nowhere"); }, {"nowhere", "no such file or folder"});
  weft::test::write_tensors(dir / "no_config" / "adapter_model.safetensors", one_pair());
  refuses([&] { Adapter::open(dir / "no_config"); }, {"no_config", "adapter_config.json is missing"});
  refuses([&] { Adapter::open(dir / "no_config" / "adapter_model.safetensors"); },
          {"lora_A.weight", "adapter_config.json is missing", "scale"});
  weft::test::write_text(dir / "no_tensors" / "adapter_config.json", kPlainConfig);
  refuses([&] { Adapter::open(dir / "no_tensors"); }, {"no_tensors", "adapter_model.safetensors"});
  weft::test::write_text(dir / "empty" / "adapter_config.json", kPlainConfig);
  weft::test::write_text(dir / "empty" / "adapter_model.safetensors", "");
  refuses([&] { Adapter::open(dir / "empty"); }, {"adapter_model.safetensors"});
  weft::test::write_text(dir / "x.safetensors", "not a tensor file at all");
  refuses([&] { Adapter::open(dir / "x.safetensors"); }, {"x.safetensors"});
  weft::test::write_tensors(dir / "foreign.safetensors", {{"encoder.weight", at::zeros({2, 2})}});
  refuses([&] { Adapter::open(dir / "foreign.safetensors"); }, {"encoder.weight", "expected a PEFT, kohya"});
  weft::test::write_peft(dir / "nothing", kPlainConfig, {});
  refuses([&] { Adapter::open(dir / "nothing"); }, {"holds no LoRA tensors"});
}

TEST_CASE("adapter/bad: configs that say nonsense, with file, line and column") {
  const NamedTensors tensors = one_pair();
  refuses_folder("[1, 2]", tensors, {"adapter_config.json", "expected a JSON object", "a list"});
  refuses_folder("7", tensors, {"expected a JSON object"});
  refuses_folder("{", tensors, {"adapter_config.json:1:"});
  refuses_folder("", tensors, {"adapter_config.json"});
  refuses_folder(R"({"r": 2})", tensors, {"'peft_type' is missing", "LORA"});
  refuses_folder("{\"peft_type\": \"LORA\",\n \"r\": 0}", tensors,
                 {"adapter_config.json:2:", "'r' is '0'", "whole number of at least 1"});
  refuses_folder(R"({"peft_type": "LORA", "r": -2})", tensors, {"'r' is '-2'"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2.5})", tensors, {"'r' is '2.5'"});
  refuses_folder(R"({"peft_type": "LORA", "r": 1e300})", tensors, {"'r' is '1e300'"});
  refuses_folder(R"({"peft_type": "LORA", "r": "2"})", tensors, {"'r' is '2'", "whole number"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "lora_alpha": "lots"})", tensors,
                 {"'lora_alpha' is 'lots'", "expected a number"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "lora_alpha": [4]})", tensors, {"'lora_alpha' is a list"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "use_rslora": "yes"})", tensors, {"'use_rslora'", "true or false"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "rank_pattern": [1]})", tensors, {"'rank_pattern' is a list"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "rank_pattern": {"q": 0}})", tensors, {"'rank_pattern' is '0'"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "alpha_pattern": {"q": true}})", tensors, {"'alpha_pattern'"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "r": 2})", tensors, {"adapter_config.json:1:"});
}

TEST_CASE("adapter/bad: hostile patterns stop and are named") {
  at::manual_seed(3);
  NamedTensors tensors;
  weft::test::add_pair(tensors, std::string(60, 'a').append(1, '!'), 6, 4, 2);
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "rank_pattern": {"(a+)+b?$": 2}})", tensors,
                 {"adapter_config.json: rank_pattern", "(a+)+b?$", "too many steps"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "alpha_pattern": {"(a+)+b?$": 2}})", tensors, {"alpha_pattern"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "rank_pattern": {"[a": 2}})", tensors,
                 {"pattern '[a' cannot be used"});
  weft::test::TempDir dir;
  const auto path =
      weft::test::write_peft(dir / "a", R"({"peft_type": "LORA", "r": 2, "rank_pattern": {"(a+)+$": 7}})", tensors);
  refuses([&] { Adapter::open(path); }, {"adapter_config.json: rank_pattern", "(a+)+$"});
}

TEST_CASE("adapter/bad: a name without end") {
  std::string stem = "base_model.model.m";
  for (int i = 0; i < 2000; ++i) stem += ".base_layer";
  refuses_folder(kPlainConfig, {{stem + ".lora_A.weight", at::zeros({2, 4})}}, {"expected at most 4096"});
}

TEST_CASE("adapter/bad: storage variants whose shapes cannot be unpacked") {
  const NamedTensors tensors = one_pair();
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "use_bdlora": {"target_modules_bd_a": ["q"], "nblocks": 3}})",
                 tensors, {"lora_A.weight' [2, 4]", "3 blocks"});
  refuses_folder(
      R"({"peft_type": "LORA", "r": 2, "use_bdlora": {"target_modules_bd_a": ["q"], "target_modules_bd_b": ["q"]}})",
      tensors, {"m.q", "both"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "use_qalora": true, "qalora_group_size": 0})", tensors,
                 {"'qalora_group_size' is '0'"});
  refuses_folder(R"({"peft_type": "LORA", "r": 3, "target_parameters": ["m.q.w"]})", tensors,
                 {"lora_A.weight' [2, 4]", "experts x 3 rows"});
  refuses_folder(R"({"peft_type": "LORA", "r": 2, "target_parameters": ["m.q.w", "q.v"]})", tensors,
                 {"1 updates of parameters of 'm.q'", "w, v"});
}
