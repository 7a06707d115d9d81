// What goes with the tensors that replace the base's: the settings of the adapter they are from, and its task.
#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "io/json.h"
#include "support/make_adapter.h"
#include "support/run_merge.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace {

using weft::Value;
using weft::adapter::Pool;

std::filesystem::path token_adapter(const std::filesystem::path& dir, const std::string& indices) {
  weft::test::NamedTensors tensors{{"base_model.model.wte.token_adapter.trainable_tokens_delta", at::randn({2, 6})}};
  weft::test::add_pair(tensors, "l.0.q", 10, 6, 4);
  return weft::test::write_peft(
      dir, R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "trainable_token_indices": )" + indices + "}", tensors);
}

std::filesystem::path classifier_adapter(const std::filesystem::path& dir) {
  weft::test::NamedTensors tensors{{"base_model.model.classifier.weight", at::randn({3, 6})}};
  weft::test::add_pair(tensors, "l.0.q", 10, 6, 4);
  return weft::test::write_peft(dir,
                                R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "task_type": "SEQ_CLS",
                                    "modules_to_save": ["classifier", "score"]})",
                                tensors);
}

Value merged_config(const std::filesystem::path& out, const Pool& pool, const std::string& rule) {
  auto spec = weft::test::preset("linear", {0.5, 0.5});
  spec.full_tensors = rule;
  weft::test::merge_to(out, pool, spec);
  return weft::io::read_json(out / "adapter_config.json");
}

}  // namespace

TEST_CASE("merge/full_tensors: token rows taken from one adapter bring its indices, whatever the others have") {
  const weft::test::TempDir dir;
  at::manual_seed(21);
  const Pool pool = Pool::open({{token_adapter(dir / "a", "[1, 2]"), ""}, {token_adapter(dir / "b", "[3, 7]"), ""}});
  const Value config = merged_config(dir / "out", pool, "from:b");
  const Value* indices = config.find("trainable_token_indices");
  REQUIRE(indices->list.size() == 2);
  CHECK(indices->list[0].scalar == "3");
}

TEST_CASE("merge/full_tensors: a task whose head was dropped is not named, since PEFT would demand the head") {
  const weft::test::TempDir dir;
  at::manual_seed(22);
  const Pool pool = Pool::open({{classifier_adapter(dir / "a"), ""}, {classifier_adapter(dir / "b"), ""}});
  CHECK(merged_config(dir / "drop", pool, "drop").find("task_type")->is_null());
  CHECK(merged_config(dir / "from", pool, "from:a").find("task_type")->scalar == "SEQ_CLS");
  CHECK(merged_config(dir / "mean", pool, "mean").find("task_type")->scalar == "SEQ_CLS");
}

TEST_CASE("merge/full_tensors: token rows of an embedding that another adapter updates are refused, as PEFT would") {
  const weft::test::TempDir dir;
  at::manual_seed(23);
  const weft::test::NamedTensors tensors{{"base_model.model.wte.lora_embedding_A", at::randn({4, 30})},
                                         {"base_model.model.wte.lora_embedding_B", at::randn({6, 4})}};
  const auto other = weft::test::write_peft(dir / "b", R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8})", tensors);
  const Pool pool = Pool::open({{token_adapter(dir / "a", "[1, 2]"), ""}, {other, ""}});
  CHECK_THROWS_WITH_AS(merged_config(dir / "out", pool, "from:a"), doctest::Contains("full_tensors: drop"),
                       weft::UnsupportedError);
  CHECK(!std::filesystem::exists(dir / "out"));
}
