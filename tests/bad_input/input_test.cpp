// Inputs whose numbers or names break what comes after them.
#include <doctest/doctest.h>

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "cli/run_cli.h"
#include "support/error_text.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;
using weft::test::NamedTensors;
using weft::test::says;

constexpr const char* kInputConfig = R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4})";

NamedTensors one_module(const std::string& name = "m.q", double times = 1) {
  at::manual_seed(5);
  NamedTensors tensors;
  weft::test::add_pair(tensors, name, 6, 4, 2);
  for (auto& [key, tensor] : tensors) tensor = tensor * times;
  return tensors;
}

/// A good adapter `good`, and whatever else a case puts beside it.
struct InputPlace {
  weft::test::TempDir dir;
  InputPlace() { weft::test::write_peft(dir / "good", kInputConfig, one_module()); }

  weft::test::CliResult merge(const std::string& method, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"merge", dir / "good", dir / "other", "--method", method, "-o", dir / "out"});
    const auto result = weft::test::run_cli(more);
    CHECK(fs::exists(dir / "out") == (result.code == 0));
    fs::remove_all(dir / "out");
    return result;
  }
  /// Refused with `code`; the first line says all of `parts`.
  void refuses(const std::string& method, int code, const std::vector<std::string>& parts,
               const std::vector<std::string>& more = {}) const {
    const auto result = merge(method, more);
    CHECK(result.code == code);
    const std::string first = result.err.substr(0, result.err.find('\n'));
    CHECK(first.starts_with("weft: error: "));
    for (const std::string& part : parts) CHECK_MESSAGE(says(first, part), first);
  }
};

}  // namespace

TEST_CASE("bad_input/input: updates beyond float32 are refused, not written as Inf and not left to a decomposition") {
  const InputPlace place;
  weft::test::write_peft(place.dir / "other", R"({"peft_type": "LORA", "r": 2, "lora_alpha": 1e300})", one_module());
  for (const char* method : {"linear", "svd", "ties", "dare_ties", "peft_linear"})
    place.refuses(method, 3, {"module m.q", "adapter other", "too large for float32"});
  weft::test::write_peft(place.dir / "other", kInputConfig, one_module("m.q", 1e38));
  for (const char* method : {"ties", "dare_ties"}) place.refuses(method, 3, {"module m.q", "adapter other"});
}

TEST_CASE("bad_input/input: weights beyond float32 are the user's") {
  const InputPlace place;
  weft::test::write_peft(place.dir / "other", kInputConfig, one_module("m.q", 0.5));
  for (const char* method : {"linear", "ties"})
    place.refuses(method, 2, {"module m.q", "weight 1e+300"}, {"--weights=1e300,1"});
}

TEST_CASE("bad_input/input: NaN in an adapter that is carried over whole is named with its file") {
  weft::test::TempDir dir;
  NamedTensors tensors = one_module();
  tensors[1].second[3][1] = std::numeric_limits<double>::quiet_NaN();
  const std::string nan = weft::test::write_peft(dir / "nan", kInputConfig, tensors).string();
  const auto result = weft::test::run_cli({"merge", nan, "--method", "linear", "-o", dir / "out"});
  CHECK(result.code == 3);
  CHECK(says(result.err, "nan/adapter_model.safetensors: tensor 'base_model.model.m.q.lora_B.weight'"));
  CHECK_FALSE(fs::exists(dir / "out"));
}

TEST_CASE("bad_input/input: what is refused stands in the first line, warnings after it") {
  const InputPlace place;
  weft::test::write_peft(place.dir / "other", R"({"peft_type": "LOHA"})", one_module());
  place.refuses("ties", 3, {"other: LoHa"});
  weft::test::write_peft(place.dir / "other", R"({"peft_type": "LORA", "r": 2, "init_lora_weights": "pissa"})",
                         one_module());
  place.refuses("ties", 3, {"other: pissa"});
  NamedTensors narrow;
  weft::test::add_pair(narrow, "m.q", 9, 4, 2);
  weft::test::write_peft(place.dir / "other", kInputConfig, narrow);
  place.refuses("ties", 3, {"module m.q", "good", "other"});
}

TEST_CASE("bad_input/input: control characters in names do not reach the terminal") {
  const InputPlace place;
  weft::test::write_peft(
      place.dir / "other",
      "{\"peft_type\": \"LORA\", \"r\": 2, \"base_model_name_or_path\": \"\\u001b[31m\\u0000\\nred\"}",
      one_module("m.\x1b[31mq\nweft: error: forged"));
  for (const auto& result : {place.merge("ties"), weft::test::run_cli({"inspect", place.dir / "other"})}) {
    CHECK(result.code == 0);
    CHECK_FALSE(says(result.out + result.err, "\x1b"));
    CHECK_FALSE(says(result.out, "\nweft: error: forged"));
  }
}

TEST_CASE("bad_input/input: a tensor stored twice is called a duplicate, a number is no target") {
  const InputPlace place;
  weft::test::write_peft(place.dir / "other", kInputConfig, one_module());
  const std::string tensor = R"("a.lora_A.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string header = "{" + tensor + "," + tensor + "}";
  std::string size(8, '\0');
  size[0] = static_cast<char>(header.size());
  weft::test::write_text(place.dir / "other" / "adapter_model.safetensors", size + header + std::string(4, '\0'));
  place.refuses("ties", 3, {"duplicate tensor name 'a.lora_A.weight'"});
  weft::test::write_peft(place.dir / "other", R"({"peft_type": "LORA", "r": 2, "target_modules": 5})", one_module());
  place.refuses("ties", 3, {"adapter_config.json:1:", "'target_modules' is '5'"});
}

TEST_CASE("bad_input/input: a base model that is not there is mentioned even where nothing needs it") {
  const InputPlace place;
  weft::test::write_peft(place.dir / "other", kInputConfig, one_module("m.q", 0.5));
  const auto result = place.merge("ties", {"--base-model", place.dir / "nowhere"});
  CHECK(result.code == 0);
  CHECK(says(result.err, "nowhere is not there"));
}
