#include "model/parameters.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "model/model_data.h"
#include "support/golden_models.h"

namespace weft::model {
namespace {

using test::all_golden_models;
using test::GoldenModel;
using test::integers;

/// The summed loss of the first cases; for encoders something that every weight but a pooler's moves.
Tensor some_loss(const BaseModel& model, const GoldenModel& golden) {
  nn::Batch inputs, targets;
  for (const Value& one : golden.facts.find("cases")->list) {
    const auto ids = integers(one.find("ids"));
    if (ids.size() < 2) continue;
    inputs.ids.push_back(ids);
    if (golden.kind == "seq2seq") targets.ids.push_back(integers(one.find("labels")));
  }
  if (golden.kind == "seq2seq") return model.nll(inputs, targets).sum();
  if (golden.kind == "causal") return model.nll(inputs, std::vector<std::int64_t>(inputs.ids.size(), 1)).sum();
  const Tensor states = model.states(inputs);
  const Tensor weights = at::linspace(-1.0, 2.0, states.numel()).reshape(states.sizes()).sin();
  Tensor loss = states.mul(weights).sum();
  if (model.info().labels.empty()) return loss;
  return loss + at::log_softmax(model.classify(inputs), 1).select(1, 0).sum();
}

double number_of(const Tensor& x) { return x.to(at::kDouble).item<double>(); }

}  // namespace

TEST_CASE("model/parameters: every weight of the file once, by its name") {
  for (const GoldenModel& golden : all_golden_models()) {
    CAPTURE(golden.folder);
    const BaseModel model = BaseModel::open(golden.path);
    nn::Network network = model.data().network;
    std::set<std::string> names, used;
    std::set<const void*> places;
    for (const Parameter& parameter : parameters_of(network)) {
      CAPTURE(parameter.name);
      CHECK(names.insert(parameter.name).second);
      CHECK(parameter.norm_or_bias == (parameter.places[0]->dim() == 1));
      for (const Tensor* place : parameter.places) {
        CHECK(place->is_same(*parameter.places[0]));
        CHECK(places.insert(place).second);
      }
      const auto stored = model.data().stored.find(parameter.name);
      if (parameter.name == "shared.weight" && stored == model.data().stored.end()) continue;  // old files
      REQUIRE(stored != model.data().stored.end());
      used.insert(stored->second);
    }
    // Nothing that was read is left out, but heads that are the embedding.
    for (const auto& [name, stored] : model.data().stored)
      if (used.count(stored) == 0) CHECK((name == "lm_head.weight" || name.ends_with("embed_tokens.weight")));
  }
}

TEST_CASE("model/parameters: gradients of all weights are the slope of the loss") {
  for (const GoldenModel& golden : all_golden_models()) {
    CAPTURE(golden.folder);
    const BaseModel model = BaseModel::open(golden.path);
    std::vector<std::pair<std::string, Tensor>> leaves;
    const BaseModel copy = trainable_copy(model, leaves);
    CHECK(number_of(some_loss(copy, golden).detach()) ==
          doctest::Approx(number_of(some_loss(model, golden))).epsilon(1e-5));
    some_loss(copy, golden).backward();
    double slope = 0.0, parts = 0.0;
    std::vector<Tensor> ways;
    at::manual_seed(7);
    for (const auto& [name, leaf] : leaves) {
      CAPTURE(name);
      const Tensor grad = leaf.grad();
      REQUIRE(grad.defined());
      CHECK(at::isfinite(grad).all().item<bool>());
      ways.push_back(at::randn(leaf.sizes()) * leaf.detach().abs().mean().clamp_min(0.02));
      const double part = number_of((grad * ways.back()).sum());
      slope += part, parts += std::abs(part);
    }
    const auto loss_at = [&](double step) {
      for (size_t i = 0; i < leaves.size(); ++i) leaves[i].second.detach().add_(ways[i], step);
      const double loss = number_of(some_loss(copy, golden).detach());
      for (size_t i = 0; i < leaves.size(); ++i) leaves[i].second.detach().sub_(ways[i], step);
      return loss;
    };
    // Large steps cross the kinks of ReLU, small ones drown in the rounding of a float32 loss: one of them must agree,
    // within a hundredth of what the single weights contribute.
    double nearest = std::numeric_limits<double>::infinity();
    for (const double step : {1e-3, 1e-4, 3e-5})
      nearest = std::min(nearest, std::abs((loss_at(step) - loss_at(-step)) / (2 * step) - slope));
    CHECK(nearest < 0.01 * parts);
  }
}

}  // namespace weft::model
