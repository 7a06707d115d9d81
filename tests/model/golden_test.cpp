#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "support/close.h"
#include "support/golden_models.h"
#include "weft/model/model.h"

namespace {

using weft::Tensor;
using weft::Value;
using weft::model::BaseModel;
using weft::nn::Batch;
using weft::test::GoldenModel;
using weft::test::integers;

// The same formulas in float32 with sums in another order; measured below 2e-6 for every family.
constexpr double kFamilyTolerance = 1e-5;
// Folders stored in half precision hold the same rounded weights here and there: the arithmetic is float32 in both.

Tensor rows_of(const Tensor& all, const Value* positions) {
  return all.index_select(0, at::tensor(at::ArrayRef<std::int64_t>(integers(positions)), at::kLong));
}

/// Every output that `golden` has agrees.
void check_close(const Tensor& got, const Tensor& golden, const char* part) {
  INFO(std::string(part));
  REQUIRE(golden.defined());
  REQUIRE(got.sizes() == golden.sizes());
  CHECK(weft::test::relative(got, golden) <= kFamilyTolerance);
}

void check_causal(const BaseModel& model, const GoldenModel& golden) {
  Batch all;
  std::vector<std::int64_t> first;
  double loss = 0;
  for (const Value& one : golden.facts.find("cases")->list) {
    const std::string name = one.find("name")->scalar;
    INFO(name);
    all.ids.push_back(integers(one.find("ids")));
    first.push_back(1);
    loss += *one.find("loss_sum")->number();
    Batch batch;
    batch.ids = {all.ids.back()};
    check_close(rows_of(model.logits(batch), one.find("positions")), golden.tensor("logits", name), "logits");
    if (all.ids.back().size() < 2) continue;
    const double nll = model.nll(batch, {1}).to(at::kDouble).sum().item<double>();
    CHECK(nll == doctest::Approx(*one.find("loss_sum")->number()).epsilon(kFamilyTolerance));
  }
  const double together = model.nll(all, first).to(at::kDouble).sum().item<double>();
  CHECK(together == doctest::Approx(loss).epsilon(kFamilyTolerance));
}

void check_seq2seq(const BaseModel& model, const GoldenModel& golden) {
  Batch inputs, targets;
  double loss = 0;
  for (const Value& one : golden.facts.find("cases")->list) {
    const std::string name = one.find("name")->scalar;
    INFO(name);
    Batch input, target;
    input.ids = {integers(one.find("ids"))}, target.ids = {integers(one.find("labels"))};
    inputs.ids.push_back(input.ids[0]), targets.ids.push_back(target.ids[0]);
    loss += *one.find("loss_sum")->number();
    check_close(rows_of(model.states(input), one.find("encoder_positions")), golden.tensor("encoder", name), "encoder");
    check_close(rows_of(model.logits(input, target), one.find("positions")), golden.tensor("logits", name), "logits");
  }
  const double together = model.nll(inputs, targets).to(at::kDouble).sum().item<double>();
  CHECK(together == doctest::Approx(loss).epsilon(kFamilyTolerance));
}

void check_encoder(const BaseModel& model, const GoldenModel& golden) {
  Batch all;
  std::vector<Tensor> embeddings;
  for (const Value& one : golden.facts.find("cases")->list) {
    const std::string name = one.find("name")->scalar;
    INFO(name);
    Batch batch;
    batch.ids = {integers(one.find("ids"))};
    if (one.find("token_types") != nullptr && !one.find("token_types")->is_null())
      batch.types = {integers(one.find("token_types"))};
    check_close(rows_of(model.states(batch), one.find("positions")), golden.tensor("hidden", name), "hidden");
    const Tensor embedding = golden.tensor("embedding", name);
    check_close(model.embed(batch)[0], embedding, "embedding");
    if (batch.types.empty()) all.ids.push_back(batch.ids[0]), embeddings.push_back(embedding);
    const Tensor logits = golden.tensor("logits", name);
    CHECK(logits.defined() == !model.info().labels.empty());
    if (logits.defined()) check_close(model.classify(batch)[0], logits, "logits");
  }
  check_close(model.embed(all), at::stack(embeddings), "embeddings in one batch");
}

}  // namespace

TEST_CASE("model/golden: every family computes what transformers computes") {
  const char* only = std::getenv("WEFT_MODEL");  // one folder, while working on a family
  for (const GoldenModel& golden : weft::test::all_golden_models()) {
    if (only != nullptr && golden.folder != only) continue;
    INFO(golden.folder);
    try {
      const BaseModel model = BaseModel::open(golden.path);
      if (golden.kind == "causal") check_causal(model, golden);
      if (golden.kind == "seq2seq") check_seq2seq(model, golden);
      if (golden.kind == "encoder") check_encoder(model, golden);
    } catch (const std::exception& error) {
      FAIL_CHECK(std::string(error.what()));
    }
  }
}
