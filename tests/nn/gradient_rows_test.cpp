#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "linalg/row_gradients.h"
#include "nn/apply.h"
#include "nn/gradients.h"
#include "nn/recorded.h"
#include "support/close.h"

namespace weft {

using test::relative;

namespace {

// A few hundred float32 numbers summed, and functions correct to 1e-6, against float64.
constexpr double kRowRounding = 1e-5;

Tensor norm_in_double(const nn::Norm& norm, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (norm.kind == nn::Norm::Kind::kLayer) return at::layer_norm(x, {x.size(1)}, weight, bias, norm.eps);
  const Tensor scaled = x * at::rsqrt(x.square().mean(1, true) + norm.eps);
  return scaled * (norm.kind == nn::Norm::Kind::kRms ? weight : weight + 1.0);
}

}  // namespace

TEST_CASE("nn/gradient_rows: norms, with and without gradients of their weights") {
  using Kind = nn::Norm::Kind;
  for (const Kind kind : {Kind::kLayer, Kind::kRms, Kind::kRmsPlusOne})
    for (const std::int64_t cols : {1, 7, 24, 130})
      for (const bool trained : {false, true}) {
        at::manual_seed(cols);
        nn::Norm norm;
        norm.kind = kind, norm.eps = 1e-2;
        norm.weight = at::randn({cols}) + 1.0;
        if (kind == Kind::kLayer) norm.bias = at::randn({cols});
        const Tensor x = test::leaf(at::randn({300, cols}) + 0.5), exact = test::double_leaf(x);
        std::vector<Tensor> ours = {x}, theirs = {exact};
        Tensor weight = test::double_leaf(norm.weight), bias;
        if (norm.bias.defined()) bias = test::double_leaf(norm.bias);
        if (trained) {
          ours.push_back(norm.weight.requires_grad_()), theirs.push_back(weight);
          if (bias.defined()) ours.push_back(norm.bias.requires_grad_()), theirs.push_back(bias);
        }
        const Tensor y = nn::recorded_norm(norm, x), expected = norm_in_double(norm, exact, weight, bias);
        CAPTURE(cols);
        CHECK(relative(y.detach(), expected.detach()) < kRowRounding);
        const Tensor g = at::randn(y.sizes());
        const auto got = test::gradients_of(y, g, ours), wanted = test::gradients_of(expected, g, theirs);
        // One column: the gradient of LayerNorm by x is zero.
        for (size_t i = cols == 1 ? 1 : 0; i < got.size(); ++i) CHECK(relative(got[i], wanted[i]) < kRowRounding);
      }
}

TEST_CASE("nn/gradient_rows: activations, alone and as gates") {
  using nn::Activation;
  for (const Activation f :
       {Activation::kRelu, Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kTanh})
    for (const std::int64_t cols : {3, 16, 37}) {
      at::manual_seed(cols);
      const auto exact_of = [&](const Tensor& x) {
        switch (f) {
          case Activation::kRelu: return at::relu(x);
          case Activation::kSilu: return at::silu(x);
          case Activation::kGelu: return at::gelu(x);
          case Activation::kGeluTanh: return at::gelu(x, "tanh");
          case Activation::kTanh: return at::tanh(x);
        }
        return x;
      };
      const Tensor both = at::randn({40, 2 * cols}) * 3.0, g = at::randn({40, cols});
      const Tensor gate = test::leaf(both.narrow(1, 0, cols)), up = test::leaf(both.narrow(1, cols, cols));
      const Tensor gate64 = test::double_leaf(gate), up64 = test::double_leaf(up), fused = test::leaf(both);
      const Tensor y = nn::activate_gate(f, gate, up), expected = exact_of(gate64) * up64;
      const auto got = test::gradients_of(y, g, {gate, up});
      const auto wanted = test::gradients_of(expected, g, {gate64, up64});
      CHECK(relative(y.detach(), expected.detach()) < kRowRounding);
      for (size_t i = 0; i < 2; ++i) CHECK(relative(got[i], wanted[i]) < kRowRounding);
      const auto of_halves = test::gradients_of(nn::activate_halves(f, fused), g, {fused})[0];
      CHECK(at::equal(of_halves.narrow(1, 0, cols), got[0]));
      CHECK(at::equal(of_halves.narrow(1, cols, cols), got[1]));
      const auto alone = test::gradients_of(nn::activate(f, gate), g, {gate})[0];
      CHECK(relative(alone, test::gradients_of(exact_of(gate64), g, {gate64})[0]) < kRowRounding);
    }
}

TEST_CASE("nn/gradient_rows: likelihoods through a frozen head of any dtype, in slices") {
  for (const auto dtype : {at::kFloat, at::kBFloat16})
    for (const bool transposed : {false, true})
      for (const bool biased : {false, true}) {
        at::manual_seed(7);
        const std::int64_t rows = 70, vocabulary = 50'001;  // more than one slice
        nn::Linear head;
        head.out = vocabulary, head.in = 9, head.transposed = transposed;
        head.weight = (transposed ? at::randn({9, vocabulary}) : at::randn({vocabulary, 9})).to(dtype);
        if (biased) head.bias = at::randn({vocabulary});
        const Tensor targets = at::randint(vocabulary, {rows}), g = at::randn({rows});
        const Tensor states = test::leaf(at::randn({rows, 9})), exact = test::double_leaf(states);
        const auto by_operators = [&](const Tensor& x) {
          const Tensor weight = head.weight.to(x.scalar_type());
          Tensor logits = at::mm(x, transposed ? weight : weight.t());
          if (biased) logits = logits + head.bias.to(x.scalar_type());
          return at::logsumexp(logits, 1) - logits.gather(1, targets.unsqueeze(1)).squeeze(1);
        };
        const Tensor expected = by_operators(exact), y = nn::recorded_likelihood(head, states, targets);
        CHECK(relative(y.detach(), expected.detach()) < kRowRounding);
        const auto got = test::gradients_of(y, g, {states}), wanted = test::gradients_of(expected, g, {exact});
        // Sums of 50,000 products lose more; libtorch's own float32 operators say how much.
        const Tensor single = test::leaf(states);
        const auto theirs = test::gradients_of(by_operators(single), g, {single});
        CHECK(relative(got[0], wanted[0]) < std::max(kRowRounding, 2 * relative(theirs[0], wanted[0])));
        const c10::NoGradGuard no_gradients;
        CHECK(at::equal(nn::recorded_likelihood(head, states, targets), y.detach()));
      }
}

TEST_CASE("nn/gradient_rows: likelihoods of given logits") {
  at::manual_seed(8);
  const Tensor logits = test::leaf(at::randn({33, 61}) * 4.0), exact = test::double_leaf(logits);
  const Tensor targets = at::randint(61, {33}), g = at::randn({33});
  const Tensor y = nn::recorded_likelihood_of(logits, targets);
  const Tensor expected = at::logsumexp(exact, 1) - exact.gather(1, targets.unsqueeze(1)).squeeze(1);
  CHECK(relative(y.detach(), expected.detach()) < kRowRounding);
  CHECK(relative(test::gradients_of(y, g, {logits})[0], test::gradients_of(expected, g, {exact})[0]) < kRowRounding);
}

TEST_CASE("nn/gradient_rows: means of sequences") {
  at::manual_seed(9);
  const std::vector<std::int64_t> offsets = {0, 1, 8, 10, 40};
  const Tensor x = test::leaf(at::randn({40, 11})), exact = test::double_leaf(x), g = at::randn({4, 11});
  std::vector<Tensor> means;
  for (size_t i = 0; i < 4; ++i) means.push_back(exact.narrow(0, offsets[i], offsets[i + 1] - offsets[i]).mean(0));
  const Tensor y = nn::recorded_means(x, offsets), expected = at::stack(means);
  CHECK(relative(y.detach(), expected.detach()) < kRowRounding);
  CHECK(relative(test::gradients_of(y, g, {x})[0], test::gradients_of(expected, g, {exact})[0]) < kRowRounding);
}

}  // namespace weft
