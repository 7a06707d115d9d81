#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/json.h"
#include "io/tensor_file.h"
#include "support/close.h"
#include "support/error_text.h"
#include "support/golden_models.h"
#include "weft/adapter/pool.h"
#include "weft/model/model.h"

namespace {

using weft::Tensor;
using weft::Value;
using weft::model::BaseModel;
using weft::model::Composition;
using weft::nn::Batch;
using weft::nn::Mix;
using weft::test::integers;

// The same formulas in float32 with sums in another order, as in golden_test.cpp.
constexpr double kAttachedTolerance = 1e-5;

/// Tiny models with adapters, and what PEFT computes with them: see tests/golden/README.md.
struct Attached {
  std::filesystem::path path;
  Value facts;
  std::shared_ptr<weft::io::TensorFile> tensors;

  std::vector<std::string> list(const char* key) const {
    std::vector<std::string> out;
    if (const Value* value = facts.find(key))
      for (const Value& item : value->list) out.push_back(item.is_null() ? "" : item.scalar);
    return out;
  }
  std::filesystem::path base() const { return weft::test::golden_models() / facts.find("base")->scalar; }
  weft::adapter::Pool pool() const {
    std::vector<weft::adapter::Pool::Source> sources;
    for (const std::string& name : list("adapters")) sources.push_back({path / name, name});
    return weft::adapter::Pool::open(sources);
  }
};

std::vector<Attached> all_attached() {
  const auto root = std::filesystem::path(WEFT_SOURCE_DIR) / "tests/golden/attached";
  const Value index = weft::io::read_json(root / "index.json");
  const char* only = std::getenv("WEFT_ATTACHED");  // one folder, while working on it
  std::vector<Attached> out;
  for (const Value& row : index.find("attached")->list) {
    if (only != nullptr && row.find("folder")->scalar != only) continue;
    Attached one;
    one.path = root / row.find("folder")->scalar;
    one.facts = weft::io::read_json(one.path / "golden.json");
    one.tensors = weft::io::open_safetensors(one.path / "golden.safetensors");
    out.push_back(std::move(one));
  }
  return out;
}

/// Weights of all adapters where some are active.
std::vector<double> active_weights(const Attached& golden) {
  const auto names = golden.list("adapters"), active = golden.list("active");
  const Value* weights = golden.facts.find("weights");
  std::vector<double> out(names.size(), 0.0);
  for (size_t e = 0; e < names.size(); ++e)
    for (size_t a = 0; a < active.size(); ++a)
      if (active[a] == names[e]) out[e] = weights == nullptr ? 1.0 : *weights->list[a].number();
  return out;
}

/// The index of the adapter of a row, -1 for none.
std::vector<std::int64_t> choices(const Attached& golden) {
  const auto names = golden.list("adapters");
  std::vector<std::int64_t> out;
  for (const std::string& row : golden.list("rows")) {
    const auto at = std::find(names.begin(), names.end(), row);
    out.push_back(at == names.end() ? -1 : at - names.begin());
  }
  return out;
}

/// What the golden file calls logits or embedding, sequences end to end.
Tensor output(const BaseModel& model, const std::vector<const Value*>& cases, const Composition& composition,
              bool embedding) {
  Batch inputs, targets;
  for (const Value* one : cases) {
    inputs.ids.push_back(integers(one->find("ids")));
    if (one->find("labels") != nullptr) targets.ids.push_back(integers(one->find("labels")));
  }
  if (embedding) return model.embed(inputs, composition);
  switch (model.info().kind) {
    case weft::model::Kind::kSeq2Seq: return model.logits(inputs, targets, composition);
    case weft::model::Kind::kEncoder: return model.classify(inputs, composition);
    default: return model.logits(inputs, composition);
  }
}

Tensor as_matrix(const Tensor& x) { return x.dim() == 1 ? x.unsqueeze(0) : x; }

void check_attached(const Attached& golden) {
  const BaseModel model = BaseModel::open(golden.base());
  const weft::nn::Experts experts = model.attach(golden.pool());
  const auto rows = choices(golden);
  const auto count = experts.count();
  std::vector<const Value*> cases;
  std::vector<Tensor> expected;
  bool embedding = false;
  for (const Value& one : golden.facts.find("cases")->list) {
    const std::string name = one.find("name")->scalar;
    embedding = golden.tensors->find("embedding/" + name) != nullptr;
    const std::string key = (embedding ? "embedding/" : "logits/") + name;
    // PEFT lets DoRA rescale what earlier adapters added, so that its result depends on the order in which they were
    // activated; `sum` is the base plus each adapter's own update, in no order.
    const bool sum = golden.tensors->find("sum/" + key) != nullptr;
    expected.push_back(as_matrix(golden.tensors->load(sum ? "sum/" + key : key)));
    const Mix mix = rows.empty() ? Mix::of(active_weights(golden)) : Mix::choose({rows[cases.size()]}, count);
    cases.push_back(&one);
    INFO(name);
    CHECK(weft::test::relative(output(model, {&one}, {experts, mix}, embedding), expected.back()) <=
          kAttachedTolerance);
  }
  const Mix mix = rows.empty() ? Mix::of(active_weights(golden)) : Mix::choose(rows, count);
  INFO("all cases in one batch");
  CHECK(weft::test::relative(output(model, cases, {experts, mix}, embedding), at::cat(expected)) <= kAttachedTolerance);
}

}  // namespace

TEST_CASE("model/attached: every variant of adapter computes what PEFT computes") {
  for (const Attached& golden : all_attached()) {
    const std::string folder = golden.path.filename().string();
    INFO(folder);
    if (folder == "llama_alora") {
      const BaseModel model = BaseModel::open(golden.base());
      CHECK(weft::test::says(weft::test::error_text<weft::UnsupportedError>([&] { model.attach(golden.pool()); }),
                             "aLoRA"));
      continue;
    }
    try {
      check_attached(golden);
    } catch (const std::exception& error) {
      FAIL_CHECK(std::string(error.what()));
    }
  }
}
