#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "support/golden_models.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "weft/adapter/adapter.h"
#include "weft/train/train.h"

namespace {

namespace fs = std::filesystem;
using weft::adapter::Adapter;

/// One update on a golden model with a tokenizer of words; what was written.
struct NamedTraining {
  weft::test::TempDir temp;
  fs::path base = temp / "base";
  weft::train::TrainJob job;

  NamedTraining(const std::string& model, const std::string& tokenizer, const std::string& records) {
    const fs::path tokenizers = fs::path(WEFT_SOURCE_DIR) / "tests/golden/training/tokenizers";
    fs::copy(weft::test::golden_models() / model, base, fs::copy_options::recursive);
    fs::copy(tokenizers / tokenizer, base, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    weft::test::write_text(temp / "train.jsonl", records);
    job.examples = weft::data::read_examples(temp / "train.jsonl");
    job.options.steps = 1, job.options.lora.rank = 2;
  }

  Adapter run(const std::string& name) {
    job.output = temp / name;
    weft::train::train(weft::model::BaseModel::open(base), weft::text::Tokenizer::open(base), job);
    return Adapter::open(job.output);
  }
};

bool has_module(const Adapter& adapter, const std::string& name) {
  const auto& modules = adapter.modules();
  return std::any_of(modules.begin(), modules.end(), [&](const auto& module) { return module.name == name; });
}

const char* const kTexts = "{\"text\": \"red fox runs\"}\n{\"text\": \"the old bird\"}\n";
const char* const kLabelled =
    "{\"text\": \"red fox runs\", \"label\": \"animal\"}\n{\"text\": \"white stone\", \"label\": \"mineral\"}\n";

}  // namespace

TEST_CASE(
    "train/target_names: GPT-NeoX's head is named as in its file or as in its class, and written as in its class") {
  NamedTraining training("gpt_neox", "causal", kTexts);
  for (const char* target : {"embed_out", "lm_head"}) {
    training.job.options.lora.targets = {target};
    const Adapter adapter = training.run(target);
    CHECK(adapter.modules().size() == 1);
    CHECK(has_module(adapter, "lm_head"));
  }
  training.job.start = Adapter::open(training.temp / "lm_head");
  CHECK(training.run("again").modules().size() == 1);
}

TEST_CASE("train/target_names: Gemma 3 inside a picture model is written as PEFT will find it, and goes on") {
  NamedTraining training("gemma3_nested", "causal", kTexts);
  training.job.options.lora.targets = {"q_proj"};
  const Adapter adapter = training.run("first");
  CHECK(has_module(adapter, "model.language_model.layers.0.self_attn.q_proj"));
  training.job.options.lora.targets = {"model.language_model.layers.0.self_attn.q_proj", "lm_head"};
  CHECK(has_module(training.run("whole_names"), "lm_head"));
  training.job.options.lora.targets = {"q_proj"};
  training.job.start = adapter;
  CHECK(training.run("again").modules().size() == adapter.modules().size());
}

TEST_CASE("train/target_names: adapters of bare encoders have the bare class's names") {
  NamedTraining distil("distilbert_sentence", "encoder", kLabelled);
  distil.job.options.lora.bias = weft::train::Bias::kAll;
  const Adapter adapter = distil.run("distil");
  CHECK(has_module(adapter, "transformer.layer.0.attention.q_lin"));
  for (const std::string& key : adapter.keys()) CHECK(key.starts_with("base_model.model."));
  NamedTraining bert("bert_sentence", "encoder", kLabelled);
  CHECK(has_module(bert.run("bert"), "encoder.layer.0.attention.self.query"));
}
