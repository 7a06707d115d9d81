#include "nn/lower_states.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "model/model_data.h"
#include "nn/gradients.h"
#include "nn/trainable.h"
#include "support/close.h"
#include "support/golden_models.h"
#include "weft/model/model.h"

namespace weft {

using test::relative;

namespace {

// The same sums in float32 on other numbers of rows.
constexpr double kOtherRows = 1e-5;

/// A plain update of one module of a model, as it would be trained.
std::unique_ptr<nn::Trainable> trained_at(const model::BaseModel& base, const std::string& name, std::int64_t out,
                                          std::int64_t in, bool keep) {
  at::manual_seed(21);
  nn::TrainableModule module;
  module.name = name;
  module.a = test::leaf(at::randn({3, in}) * 0.3), module.b = test::leaf(at::randn({3, out}) * 0.3);
  auto trainable =
      std::make_unique<nn::Trainable>(base.data().network, std::vector{module}, std::vector<nn::TrainableBias>());
  if (keep) trainable->keep_lower_states();
  return trainable;
}

}  // namespace

TEST_CASE("model/lower_states: kept states change neither likelihoods nor gradients") {
  const auto base = model::BaseModel::open(test::golden_models() / "llama");
  const std::string name = "model.layers.1.self_attn.q_proj";
  const auto plain = trained_at(base, name, 24, 24, false), keeping = trained_at(base, name, 24, 24, true);
  const nn::Batch batch{{{1, 5, 9, 30, 2}, {1, 7}, {1, 5, 9, 30, 2, 8, 8, 11}}, {}};
  const std::vector<std::int64_t> first = {1, 1, 3};
  const auto likelihood = [&](const nn::Trainable& trainable) {
    return base.nll(batch, first, {trainable.experts(), nn::Mix::of({1.0})});
  };
  const Tensor expected = likelihood(*plain), once = likelihood(*keeping), again = likelihood(*keeping);
  CHECK(relative(once.detach(), expected.detach()) < kOtherRows);
  CHECK(at::equal(once, again));
  const Tensor g = at::randn(expected.sizes());
  const auto of = [](const nn::Trainable& t) { return std::vector<Tensor>{t.modules()[0].a, t.modules()[0].b}; };
  const auto wanted = test::gradients_of(expected, g, of(*plain)), got = test::gradients_of(again, g, of(*keeping));
  for (size_t i = 0; i < 2; ++i) CHECK(relative(got[i], wanted[i]) < kOtherRows);
}

TEST_CASE("model/lower_states: a sequence has the same bits whatever stands beside it") {
  const auto base = model::BaseModel::open(test::golden_models() / "bert_sentence");
  const std::string name = "encoder.layer.1.attention.self.value";
  const std::vector<std::int64_t> one = {1, 7, 9, 2}, other = {1, 11, 2};
  const auto lower_of = [&](const nn::Batch& batch) {
    const auto keeping = trained_at(base, name, 24, 24, true);
    const nn::Experts experts = keeping->experts();
    base.embed(batch, {experts, nn::Mix::of({1.0})});
    return experts.data()->lower->find(one);
  };
  const Tensor alone = lower_of({{one}, {}}), beside = lower_of({{other, one, other}, {}});
  REQUIRE(alone.defined());
  CHECK(at::equal(alone, beside));
}

}  // namespace weft
