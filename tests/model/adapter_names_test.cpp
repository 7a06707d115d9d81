#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "support/golden_models.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "weft/adapter/pool.h"
#include "weft/core/log.h"
#include "weft/model/model.h"

namespace {

using weft::Tensor;
using weft::adapter::Pool;
using weft::model::BaseModel;
using weft::nn::Batch;
using weft::nn::Mix;
using weft::test::NamedTensors;
using weft::test::TempDir;

constexpr const char* kConfig = R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": "all-linear"})";

Batch some_text() {
  Batch batch;
  batch.ids = {{3, 17, 40, 22, 9}};
  return batch;
}

/// Keeps warnings.
struct NameWarnings : weft::Log {
  void warning(std::string_view text) override { texts.emplace_back(text); }
  std::vector<std::string> texts;
};

Pool pool_of(const TempDir& dir, const NamedTensors& tensors) {
  const std::vector<Pool::Source> sources = {{weft::test::write_peft(dir / "a", kConfig, tensors), "a"}};
  return Pool::open(sources);
}

}  // namespace

TEST_CASE("model/adapter_names: GPT-NeoX's head is lm_head to newer adapters, embed_out to older ones") {
  const BaseModel model = BaseModel::open(weft::test::golden_models() / "gpt_neox");
  std::vector<Tensor> logits;
  for (const char* head : {"lm_head", "embed_out"}) {
    const TempDir dir;
    NamedTensors tensors;
    at::manual_seed(3);
    weft::test::add_pair(tensors, head, model.info().vocabulary, model.info().width, 2);
    logits.push_back(model.logits(some_text(), {model.attach(pool_of(dir, tensors)), Mix::of({1.0})}));
  }
  CHECK(at::equal(logits[0], logits[1]));
  CHECK_FALSE(at::equal(logits[0], model.logits(some_text())));
}

TEST_CASE("model/adapter_names: a pooler or head that sentence embeddings never read is left aside with a warning") {
  for (const char* base : {"bert_sentence", "distilbert_sentence", "roberta"}) {
    INFO(std::string(base));
    const BaseModel model = BaseModel::open(weft::test::golden_models() / base);
    const TempDir dir;
    NamedTensors tensors;
    weft::test::add_pair(tensors, "bert.pooler.dense", model.info().width, model.info().width, 2);
    if (model.info().labels.empty()) {
      tensors.emplace_back("base_model.model.classifier.weight", at::randn({4, model.info().width}));
      tensors.emplace_back("base_model.model.pre_classifier.bias", at::randn({model.info().width}));
    }
    NameWarnings warnings;
    const auto experts = model.attach(pool_of(dir, tensors), warnings);
    CHECK(std::any_of(warnings.texts.begin(), warnings.texts.end(), [](const std::string& text) {
      return text.find("'bert.pooler.dense', which this model never reads") != std::string::npos;
    }));
    CHECK(at::equal(model.embed(some_text(), {experts, Mix::of({1.0})}), model.embed(some_text())));
  }
}
