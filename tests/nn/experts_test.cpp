#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "nn/hand_made.h"
#include "support/close.h"
#include "support/error_text.h"

namespace weft {

using test::error_text;
using test::fused;
using test::HandMadePool;
using test::HandMadeRun;
using test::relative;
using test::says;

namespace {

// Sums of at most a few hundred products in float32, against float64.
constexpr double kRoundingOfSums = 2e-6;

/// (Σ w s B)(Σ w A) of a part, float64.
Tensor averaged_delta(const HandMadePool& pool, int part, const std::vector<double>& weights) {
  Tensor a, b;
  for (size_t e = 0; e < pool.adapters.size(); ++e) {
    const auto update = pool.adapters[e].load(*pool.adapters[e].find(test::kQkvNames[part])).blocks[0];
    const Tensor my_a = update.a.to(at::kDouble) * weights[e];
    const Tensor my_b = update.b.to(at::kDouble) * (weights[e] * update.scale);
    a = a.defined() ? a + my_a : my_a;
    b = b.defined() ? b + my_b : my_b;
  }
  return at::mm(b, a);
}

/// d f / d x by central differences; x is changed and put back.
Tensor differences(const Tensor& x, const std::function<double()>& f) {
  constexpr float kStep = 1e-2f;
  Tensor out = at::empty({x.numel()}, at::kDouble);
  const Tensor flat = x.detach().view({-1});
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    const float before = flat[i].item<float>();
    flat[i].fill_(before + kStep);
    const double above = f();
    flat[i].fill_(before - kStep);
    const double below = f();
    flat[i].fill_(before);
    out[i].fill_((above - below) / (2.0 * static_cast<double>(kStep)));
  }
  return out.view(x.sizes());
}

std::pair<std::string, Tensor> replaced(const std::string& parameter, const Tensor& value) {
  return {"base_model.model." + parameter, value};
}

Tensor ids_of(std::vector<std::int64_t> ids) {
  return at::tensor(at::ArrayRef<std::int64_t>(ids), at::TensorOptions().dtype(at::kLong));
}

}  // namespace

TEST_CASE("nn/experts: the factors rule averages A and B apart; its cross terms are the difference from deltas") {
  at::manual_seed(1);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  for (int e = 0; e < 3; ++e) pool.add(6);
  const nn::Experts experts = pool.stack(network);
  const std::vector<double> weights = {0.5, 0.0, -0.75};
  for (const std::int64_t tokens : {1, 9, 40})
    for (const bool gradients : {false, true}) {
      const c10::AutoGradMode mode(gradients);
      const HandMadeRun pass(experts, nn::Mix::of(weights, nn::Rule::kFactors), {tokens});
      const Tensor x = at::randn({tokens, 33}).requires_grad_(gradients);
      const auto ys = nn::apply(test::qkv_of(network), x, pass.run);
      for (int p = 0; p < 3; ++p) {
        const auto part = static_cast<size_t>(p);
        const Tensor delta = averaged_delta(pool, p, weights);
        CHECK(relative(ys[part].detach(), fused(test::qkv_of(network).parts[part], x.detach(), delta)) <
              kRoundingOfSums);
        CHECK(relative(delta, pool.delta(p, weights)) > 1e-2);
      }
    }
  const std::vector<double> one = {0.0, -1.0, 0.0};  // a weight counts twice: its sign is lost
  CHECK(relative(averaged_delta(pool, 0, one), pool.delta(0, {0.0, 1.0, 0.0})) < 1e-12);
}

TEST_CASE("nn/experts: the factors rule refuses unequal ranks by module and adapters") {
  at::manual_seed(2);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  pool.add(4);
  pool.add(5);
  const nn::Experts experts = pool.stack(network);
  const std::string text = error_text<UsageError>([&] {
    nn::make_gate(nn::Mix::of({1, 1}, nn::Rule::kFactors), experts, nn::Layout::of({2}));
  });
  CHECK(says(text, "rank 4 in 'a' and 5 in 'b'"));
  CHECK(says(text, "q_proj"));
}

TEST_CASE("nn/experts: gradients of weights and factors are those of finite differences") {
  at::manual_seed(3);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  for (int e = 0; e < 2; ++e) pool.add(2);
  const nn::Experts experts = pool.stack(network);
  const auto& part = experts.data()->groups[0].parts[0];
  const Tensor x = at::randn({5, 33}), direction = at::randn({5, 24});
  for (const auto rule : {nn::Rule::kDelta, nn::Rule::kFactors}) {
    nn::Mix mix = nn::Mix::of({0.5, -0.25}, rule);
    mix.rows = nn::Mix::Rows::kSequence;
    mix.weights = at::randn({2, 2}).requires_grad_();
    const auto value = [&] {
      const HandMadeRun pass(experts, mix, {2, 3});
      return (nn::apply(test::qkv_of(network), x, pass.run)[0] * direction).sum();
    };
    part.b.requires_grad_();
    const Tensor sum = value();
    sum.backward();
    const auto number = [&] {
      const c10::NoGradGuard no_gradients;
      return value().item<double>();
    };
    // f is linear or quadratic in them: central differences are exact but for float32's rounding of f over the step.
    CHECK(relative(mix.weights.grad(), differences(mix.weights, number)) < 2e-3);
    CHECK(relative(part.b.grad(), differences(part.b, number)) < 2e-3);
    part.b.mutable_grad() = Tensor();
    part.b.requires_grad_(false);
  }
}

TEST_CASE("nn/experts: DoRA rescales the base, and its sum with others is the sum of their updates") {
  const c10::NoGradGuard no_gradients;
  at::manual_seed(4);
  for (const bool transposed : {false, true}) {
    nn::Network network = test::hand_made_network(at::kFloat, transposed);
    HandMadePool pool;
    pool.add(3);
    const Tensor magnitude = at::rand({24}) + 0.5;
    pool.add(4, {0}, ", \"use_dora\": true",
             {{"base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", magnitude}});
    const nn::Experts experts = pool.stack(network);
    const nn::Linear& q = test::qkv_of(network).parts[0];
    const Tensor weight = (transposed ? q.weight.t() : q.weight).to(at::kDouble);
    const Tensor whole = weight + pool.delta(0, {0.0, 1.0});
    const Tensor dora = whole * (magnitude.to(at::kDouble) / whole.norm(2, {1})).unsqueeze(1) - weight;
    for (const std::int64_t tokens : {3, 30}) {
      const HandMadeRun pass(experts, nn::Mix::of({0.5, -0.75}), {tokens});
      const Tensor x = at::randn({tokens, 33});
      const Tensor expected = fused(q, x, pool.delta(0, {0.5, 0.0}) - dora * 0.75);
      CHECK(relative(nn::apply(test::qkv_of(network), x, pass.run)[0], expected) < kRoundingOfSums);
    }
  }
}

TEST_CASE("nn/experts: replaced heads, norms and rows of tables act where their adapter does") {
  const c10::NoGradGuard no_gradients;
  at::manual_seed(5);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  const Tensor head = at::randn({19, 33}), norm = at::rand({33}), rows = at::randn({2, 33}), bias = at::randn({19});
  pool.add(2, {0}, ", \"modules_to_save\": [\"lm_head\", \"norm\"]",
           {replaced("lm_head.weight", head), replaced("lm_head.bias", bias), replaced("model.norm.weight", norm)});
  pool.add(2, {1}, ", \"trainable_token_indices\": {\"embed_tokens\": [11, 4]}",
           {replaced("model.embed_tokens.token_adapter.trainable_tokens_delta", rows)});
  const nn::Experts experts = pool.stack(network);
  const HandMadeRun pass(experts, nn::Mix::choose({0, -1, 1}, 2), {2, 1, 3});
  const Tensor x = at::randn({6, 33}), y = nn::apply_one(network.head, x, pass.run);
  const auto& base = network.head.parts[0];
  CHECK(relative(y.narrow(0, 0, 2), at::linear(x.narrow(0, 0, 2), head, bias)) < kRoundingOfSums);
  CHECK(relative(y.narrow(0, 2, 4), at::linear(x.narrow(0, 2, 4), base.weight, base.bias)) < kRoundingOfSums);

  const Tensor normed = nn::normalize(network.decoder.final_norm, x, pass.run);
  nn::Run plain;
  plain.layout = pass.run.layout;
  const Tensor of_base = nn::normalize(network.decoder.final_norm, x, plain);
  CHECK(relative(normed.narrow(0, 2, 4), of_base.narrow(0, 2, 4)) < kRoundingOfSums);
  CHECK(relative(normed.narrow(0, 0, 2), of_base.narrow(0, 0, 2) / network.decoder.final_norm.weight * norm) <
        kRoundingOfSums);

  const Tensor ids = ids_of({4, 11, 4, 4, 7, 11});
  const Tensor found = nn::look_up(network.input.tokens, ids, pass.run), &table = network.input.tokens.weight;
  for (const std::int64_t t : {0, 1, 2, 4}) CHECK(at::equal(found[t], table[ids[t].item<std::int64_t>()]));
  CHECK(at::equal(found[3], rows[1]));
  CHECK(at::equal(found[5], rows[0]));
}

TEST_CASE("nn/experts: a replaced parameter cannot be weighed, nor replaced twice") {
  const c10::NoGradGuard no_gradients;
  at::manual_seed(6);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  for (int e = 0; e < 2; ++e)
    pool.add(2, {0}, ", \"modules_to_save\": [\"lm_head\"]", {replaced("lm_head.weight", at::randn({19, 33}))});
  const nn::Experts experts = pool.stack(network);
  const auto text = [&](const std::vector<double>& weights) {
    return error_text<UsageError>([&] {
      const HandMadeRun pass(experts, nn::Mix::of(weights), {2});
      nn::apply_one(network.head, at::randn({2, 33}), pass.run);
    });
  };
  CHECK(says(text({0.5, 0.0}), "adapter 'a' replaces lm_head.weight"));
  CHECK(says(text({1.0, 1.0}), "adapters 'a' and 'b' both replace lm_head.weight"));
  CHECK(text({0.0, 1.0}) == "no error");
}

TEST_CASE("nn/experts: a mix that does not fit is refused with both counts") {
  at::manual_seed(7);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  pool.add(2);
  pool.add(2);
  const nn::Experts experts = pool.stack(network);
  const auto text = [&](const nn::Mix& mix) {
    return error_text<UsageError>([&] { nn::make_gate(mix, experts, nn::Layout::of({2, 3})); });
  };
  CHECK(says(text(nn::Mix::of({1, 2, 3})), "3 weights, but 2 adapters are attached: a, b"));
  CHECK(says(text(nn::Mix::choose({0, 1, 1}, 2)), "3 rows of weights, but 2 are expected: one per sequence"));
  nn::Mix mix = nn::Mix::of({1, std::numeric_limits<double>::infinity()});
  CHECK(says(text(mix), "NaN or infinite"));
  mix = nn::Mix::of({1, 2});
  mix.rows = nn::Mix::Rows::kToken;
  CHECK(says(text(mix), "1 row of weights, but 5 are expected: one per token"));
  mix = nn::Mix::of({1, 2});
  mix.group_of_module = {0};
  CHECK(says(text(mix), "groups"));
  mix.weights = at::ones({1, 2, 2});
  CHECK(says(text(mix), "1 modules a group of weights, but the adapters change 3"));
  mix.group_of_module = {0, 2, 1};
  CHECK(says(text(mix), "takes group 2 of the mix, which has 2"));
  CHECK(says(error_text<UsageError>([] { nn::Mix::choose({2}, 2); }), "adapter 2, but there are 2"));
}

TEST_CASE("nn/experts: an adapter of another model is refused by its first misfit") {
  at::manual_seed(8);
  nn::Network network = test::hand_made_network();
  const auto text = [&](const test::NamedTensors& tensors, const std::string& config = "") {
    HandMadePool pool;
    return error_text<InputError>([&] {
      pool.add(2, {}, config, tensors);
      pool.stack(network);
    });
  };
  test::NamedTensors unknown, misshapen, misplaced;
  test::add_pair(unknown, "model.layers.0.self_attn.qproj", 24, 33, 2);
  test::add_pair(misshapen, "model.layers.0.self_attn.q_proj", 24, 32, 2);
  test::add_pair(misplaced, "model.norm", 33, 33, 2);
  CHECK(says(text(unknown), "no module 'model.layers.0.self_attn.qproj'"));
  CHECK(says(text(unknown), "nearest is 'model.layers.0.self_attn.q_proj'"));
  CHECK(
      says(text(misshapen), "has the shape [24, 32], but 'model.layers.0.self_attn.q_proj' of the model has [24, 33]"));
  CHECK(says(text(misplaced), "of the model is a norm"));
  const std::string save = ", \"modules_to_save\": [\"lm_head\", \"score\"]";
  CHECK(says(text({replaced("lm_head.weight", at::ones({20, 33}))}, save), "has the shape [20, 33]"));
  CHECK(says(text({replaced("score.weight", at::ones({2, 33}))}, save), "fits nothing"));
}

TEST_CASE("nn/experts: names match without the model's prefix") {
  const c10::NoGradGuard no_gradients;
  at::manual_seed(9);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  pool.add(3);
  for (auto& part : test::qkv_of(network).parts) part.name = part.name.substr(std::string("model.").size());
  const nn::Experts experts = pool.stack(network);
  REQUIRE(experts.modules().size() == 3);
  CHECK(experts.modules()[0] == "layers.0.self_attn.q_proj");
  CHECK(experts.bytes() >= static_cast<std::int64_t>(sizeof(float)) * 3 * (3 * 33 + 24 + 8 + 40));
}

}  // namespace weft
