#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "nn/apply.h"
#include "nn/expert_data.h"
#include "nn/gradients.h"
#include "nn/hand_made.h"
#include "nn/products.h"
#include "nn/recorded.h"
#include "support/close.h"

namespace weft {

using test::relative;

namespace {

// Sums of a few hundred float32 products against float64.
constexpr double kLinearRounding = 1e-5;

/// One adapter whose factors want gradients, on some parts of the hand-made q, k, v.
struct TrainedPool {
  std::shared_ptr<nn::Experts::Data> data = std::make_shared<nn::Experts::Data>();
  std::vector<Tensor> leaves;  ///< a then b of every adapted part

  TrainedPool(const nn::Network& network, const std::vector<size_t>& parts, bool dora) {
    data->names = {"trained"};
    data->trainable = true;
    data->groups.resize(static_cast<size_t>(network.groups));
    data->embeddings.resize(static_cast<size_t>(network.embeddings));
    auto& group = data->groups[static_cast<size_t>(network.decoder.layers[0].attention.qkv.index)];
    group.parts.resize(3), group.any = true;
    std::vector<Tensor> as;
    for (const size_t p : parts) {
      nn::ModuleExperts& part = group.parts[p];
      const std::int64_t rank = 2 + static_cast<std::int64_t>(p);
      part.module = static_cast<std::int64_t>(data->modules.size());
      data->modules.emplace_back(test::kQkvNames[p]);
      part.starts = {0, rank}, part.scales = {1.5f};
      part.a = test::leaf(at::randn({rank, 33}) * 0.3), part.b = test::leaf(at::randn({rank, test::kQkvOuts[p]}) * 0.3);
      leaves.push_back(part.a), leaves.push_back(part.b);
      part.column_expert = at::zeros({rank}, at::kLong), part.column_scale = at::full({rank}, 1.5);
      if (dora) {
        part.base_factor = test::leaf(at::randn({1, test::kQkvOuts[p]}) * 0.2);
        leaves.push_back(part.base_factor);
      }
      as.push_back(part.a);
    }
    group.a = at::cat(as);
  }
};

/// q, k, v in float64 from leaves of the same numbers.
std::vector<Tensor> in_double(const nn::Network& network, const TrainedPool& pool, const Tensor& x,
                              const std::vector<Tensor>& leaves, double weight) {
  const auto& group = network.decoder.layers[0].attention.qkv;
  const auto& experts = pool.data->groups[static_cast<size_t>(group.index)];
  std::vector<Tensor> out;
  size_t at = 0;
  for (size_t p = 0; p < 3; ++p) {
    const Tensor stored = group.parts[p].weight.to(at::kDouble);
    Tensor y = at::mm(x, group.parts[p].transposed ? stored : stored.t());
    if (experts.parts[p].any()) {
      const Tensor a = leaves[at++], b = leaves[at++];
      if (experts.parts[p].base_factor.defined()) y = y * (leaves[at++] * weight + 1.0);
      y = y + at::mm(at::mm(x, a.t()), b) * (1.5 * weight);
    }
    if (group.parts[p].bias.defined()) y = y + group.parts[p].bias.to(at::kDouble);
    out.push_back(y);
  }
  return out;
}

void check_trained(at::ScalarType dtype, bool transposed, bool biased, const std::vector<size_t>& parts, bool dora,
                   bool input_too) {
  at::manual_seed(11);
  nn::Network network = test::hand_made_network(dtype, transposed, biased);
  TrainedPool pool(network, parts, dora);
  const test::HandMadeRun pass(nn::Experts(pool.data), nn::Mix::of({0.75}), {20, 17});
  const Tensor values = at::randn({37, 33}), x = input_too ? test::leaf(values) : values;
  const Tensor exact = input_too ? test::double_leaf(values) : values.to(at::kDouble);
  std::vector<Tensor> ours = pool.leaves, theirs;
  for (const Tensor& of : ours) theirs.push_back(test::double_leaf(of));
  const auto ys = nn::apply(test::qkv_of(network), x, pass.run),
             expected = in_double(network, pool, exact, theirs, 0.75);
  if (input_too) ours.push_back(x), theirs.push_back(exact);
  for (size_t p = 0; p < 3; ++p) CHECK(relative(ys[p].detach(), expected[p].detach()) < kLinearRounding);
  const Tensor g = at::randn({37, 72});
  const auto got = test::gradients_of(at::cat(ys, 1), g, ours),
             wanted = test::gradients_of(at::cat(expected, 1), g, theirs);
  for (size_t i = 0; i < got.size(); ++i) CHECK(relative(got[i], wanted[i]) < kLinearRounding);
}

}  // namespace

TEST_CASE("nn/gradient_linear: factors and inputs, whatever the base's dtype and orientation") {
  for (const auto dtype : {at::kFloat, at::kBFloat16, at::kHalf})
    for (const bool transposed : {false, true})
      for (const bool input_too : {false, true}) {
        CAPTURE(transposed);
        CAPTURE(input_too);
        check_trained(dtype, transposed, /*biased=*/!transposed, {0, 2}, /*dora=*/false, input_too);
      }
  check_trained(at::kFloat, false, true, {0, 1, 2}, false, true);
  check_trained(at::kFloat, false, false, {1}, false, true);
}

TEST_CASE("nn/gradient_linear: DoRA's factors") {
  for (const bool transposed : {false, true}) check_trained(at::kBFloat16, transposed, true, {0, 2}, true, true);
}

TEST_CASE("nn/gradient_linear: the base alone passes the gradient of its input") {
  at::manual_seed(12);
  nn::Network network = test::hand_made_network(at::kHalf);
  nn::Run run;
  run.layout = nn::Layout::of({37});
  const Tensor x = test::leaf(at::randn({37, 33})), exact = test::double_leaf(x), g = at::randn({37, 8});
  const auto ys = nn::apply(test::qkv_of(network), x, run);
  const Tensor expected = at::mm(exact, test::qkv_of(network).parts[1].weight.to(at::kDouble).t());
  const Tensor wanted = test::gradients_of(expected, g, {exact})[0];
  // Only k is used: the others give nothing.
  CHECK(relative(test::gradients_of(ys[1], g, {x})[0], wanted) < kLinearRounding);
  const Tensor y = nn::product(x, test::qkv_of(network).parts[1].weight, false);
  CHECK(relative(test::gradients_of(y, g, {x})[0], wanted) < kLinearRounding);
}

TEST_CASE("nn/gradient_linear: weights of the mix have gradients beside those of the input") {
  at::manual_seed(13);
  nn::Network network = test::hand_made_network();
  test::HandMadePool pool;
  pool.add(3), pool.add(5, {0, 2});
  const nn::Experts experts = pool.stack(network);
  nn::Mix mix = nn::Mix::of({0.5, -1.0});
  mix.weights.requires_grad_();
  const test::HandMadeRun pass(experts, mix, {37});
  const Tensor x = test::leaf(at::randn({37, 33})), g = at::randn({37, 72});
  const auto got = test::gradients_of(at::cat(nn::apply(test::qkv_of(network), x, pass.run), 1), g, {x, mix.weights});
  const Tensor exact = test::double_leaf(x), weights = test::double_leaf(mix.weights);
  std::vector<Tensor> ys;
  for (int p = 0; p < 3; ++p) {
    Tensor y = test::fused(test::qkv_of(network).parts[static_cast<size_t>(p)], exact, at::zeros({1}, at::kDouble));
    for (int e = 0; e < 2; ++e)
      y = y + at::mm(exact, pool.delta(p, {e == 0 ? 1.0 : 0.0, e == 1 ? 1.0 : 0.0}).t()) * weights[0][e];
    ys.push_back(y);
  }
  const auto wanted = test::gradients_of(at::cat(ys, 1), g, {exact, weights});
  for (size_t i = 0; i < 2; ++i) CHECK(relative(got[i], wanted[i]) < kLinearRounding);
}

TEST_CASE("nn/gradient_linear: nothing is recorded where nothing wants a gradient") {
  at::manual_seed(14);
  nn::Network network = test::hand_made_network();
  nn::Run run;
  run.layout = nn::Layout::of({37});
  const c10::AutoGradMode on(true);
  for (const Tensor& y : nn::apply(test::qkv_of(network), at::randn({37, 33}), run)) CHECK_FALSE(y.requires_grad());
}

}  // namespace weft
