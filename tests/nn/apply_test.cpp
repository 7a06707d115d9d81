#include "nn/apply.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <doctest/doctest.h>

#include "nn/hand_made.h"
#include "support/close.h"

namespace weft {

using test::fused;
using test::HandMadePool;
using test::HandMadeRun;
using test::relative;

namespace {

// Sums of at most a few hundred products in float32, against float64.
constexpr double kRounding = 2e-6;

const std::int64_t kTokenCounts[] = {1, 2, 3, 15, 16, 17, 63, 64, 65};

void check_against_fused(nn::Network& network, const HandMadePool& pool, const std::vector<double>& weights,
                         std::int64_t tokens) {
  const nn::Experts experts = pool.stack(network);
  const HandMadeRun pass(experts, nn::Mix::of(weights), {tokens});
  const Tensor x = at::randn({tokens, 33});
  for (const bool gradients : {false, true}) {
    const c10::AutoGradMode mode(gradients);
    const Tensor in = gradients ? x.clone().requires_grad_() : x;
    const auto ys = nn::apply(test::qkv_of(network), in, pass.run);
    REQUIRE(ys.size() == 3);
    for (int p = 0; p < 3; ++p) {
      const Tensor expected = fused(test::qkv_of(network).parts[static_cast<size_t>(p)], x, pool.delta(p, weights));
      CAPTURE(tokens);
      CAPTURE(p);
      CAPTURE(gradients);
      CHECK(relative(ys[static_cast<size_t>(p)].detach(), expected) < kRounding);
    }
  }
}

}  // namespace

TEST_CASE("nn/apply: the base alone, in every dtype and orientation") {
  const c10::NoGradGuard no_gradients;
  for (const auto dtype : {at::kFloat, at::kBFloat16, at::kHalf})
    for (const bool transposed : {false, true})
      for (const std::int64_t tokens : kTokenCounts) {
        at::manual_seed(tokens);
        nn::Network network = test::hand_made_network(dtype, transposed, tokens % 2 == 0);
        nn::Run run;
        run.layout = nn::Layout::of({tokens});
        const Tensor x = at::randn({tokens, 33});
        const auto ys = nn::apply(test::qkv_of(network), x, run);
        for (size_t p = 0; p < 3; ++p) {
          const Tensor none = at::zeros({test::kQkvOuts[p], 33}, at::kDouble);
          CAPTURE(tokens);
          CAPTURE(transposed);
          CHECK(relative(ys[p], fused(test::qkv_of(network).parts[p], x, none)) < kRounding);
        }
      }
}

TEST_CASE("nn/apply: attached experts equal their fused sum, whatever ranks and numbers of tokens") {
  for (const std::int64_t tokens : kTokenCounts) {
    at::manual_seed(tokens);
    nn::Network network = test::hand_made_network();
    HandMadePool pool;
    for (const std::int64_t rank : {1, 3, 8, 17, 64}) pool.add(rank);
    check_against_fused(network, pool, {0.5, -1.25, 1.0, 0.25, 2.0}, tokens);
    check_against_fused(network, pool, {0.0, 0.0, 1.0, 0.0, 0.0}, tokens);
    check_against_fused(network, pool, {0.0, 0.7, 0.0, 0.0, -0.3}, tokens);
    check_against_fused(network, pool, {0.0, 0.0, 0.0, 0.0, 0.0}, tokens);
  }
}

TEST_CASE("nn/apply: many experts of which some act, in scattered places") {
  at::manual_seed(5);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  for (int e = 0; e < 30; ++e) pool.add(12);
  std::vector<double> weights(30, 0.0);
  for (const size_t e : {1, 5, 9, 13, 17, 29}) weights[e] = 0.1 * static_cast<double>(e);
  for (const std::int64_t tokens : {1, 5, 40}) check_against_fused(network, pool, weights, tokens);
}

TEST_CASE("nn/apply: many tokens with the same weights") {
  for (const bool transposed : {false, true})
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      at::manual_seed(12);
      nn::Network network = test::hand_made_network(dtype, transposed);
      HandMadePool pool;
      for (const std::int64_t rank : {4, 30, 2}) pool.add(rank, {0, 1, 2}, "", {}, dtype);
      check_against_fused(network, pool, {0.5, 0.0, -1.0}, 300);
    }
}

TEST_CASE("nn/apply: experts on some of the parts") {
  at::manual_seed(6);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  pool.add(4, {0});
  pool.add(6, {2});
  pool.add(2, {0, 2});
  for (const std::int64_t tokens : {1, 8, 40}) check_against_fused(network, pool, {1.0, 0.5, -2.0}, tokens);
}

TEST_CASE("nn/apply: factors and weights in half precision, weights stored [in, out]") {
  for (const auto dtype : {at::kBFloat16, at::kHalf})
    for (const bool transposed : {false, true})
      for (const std::int64_t tokens : {1, 16, 33}) {
        at::manual_seed(7);
        nn::Network network = test::hand_made_network(dtype, transposed);
        HandMadePool pool;
        pool.add(4, {0, 1, 2}, "", {}, dtype);
        pool.add(8, {0, 1, 2}, "", {}, dtype);
        check_against_fused(network, pool, {1.0, -0.5}, tokens);
        const nn::Experts experts = pool.stack(network);
        CHECK((experts.data()->groups[0].a.scalar_type() == dtype));
      }
}

TEST_CASE("nn/apply: a row of weights per sequence equals one sequence at a time") {
  const c10::NoGradGuard no_gradients;
  at::manual_seed(8);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  for (const std::int64_t rank : {2, 5, 40, 8}) pool.add(rank);
  const nn::Experts experts = pool.stack(network);
  for (const auto& lengths :
       std::vector<std::vector<std::int64_t>>{{1, 1, 1, 1, 1}, {2, 1, 3, 4, 1}, {20, 40, 1, 17, 64}}) {
    for (const bool one_each : {true, false}) {
      nn::Mix mix = nn::Mix::choose({2, 0, -1, 3, 1}, 4);
      if (!one_each) mix.weights = at::randn({5, 4});
      const HandMadeRun pass(experts, mix, lengths);
      const Tensor x = at::randn({pass.run.layout.tokens(), 33});
      const auto ys = nn::apply(test::qkv_of(network), x, pass.run);
      for (std::int64_t s = 0; s < 5; ++s) {
        const Tensor row = mix.weights.select(0, s);
        std::vector<double> weights;
        for (int e = 0; e < 4; ++e) weights.push_back(row[e].item<double>());
        const std::int64_t begin = pass.run.layout.offsets[static_cast<size_t>(s)], n = lengths[static_cast<size_t>(s)];
        for (int p = 0; p < 3; ++p) {
          const auto part = static_cast<size_t>(p);
          CHECK(relative(ys[part].narrow(0, begin, n), fused(test::qkv_of(network).parts[part], x.narrow(0, begin, n),
                                                             pool.delta(p, weights))) < kRounding);
        }
      }
    }
  }
}

TEST_CASE("nn/apply: a row of weights per token equals a loop over tokens") {
  at::manual_seed(9);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  for (const std::int64_t rank : {2, 5, 8}) pool.add(rank);
  const nn::Experts experts = pool.stack(network);
  for (const std::int64_t tokens : {7, 50})
    for (const bool gradients : {false, true}) {
      const c10::AutoGradMode mode(gradients);
      nn::Mix mix;
      mix.rows = nn::Mix::Rows::kToken;
      mix.weights = at::randn({tokens, 3});
      const HandMadeRun pass(experts, mix, {3, tokens - 3});
      const Tensor x = at::randn({tokens, 33}).requires_grad_(gradients);
      const auto ys = nn::apply(test::qkv_of(network), x, pass.run);
      for (std::int64_t t = 0; t < tokens; ++t) {
        std::vector<double> weights;
        for (int e = 0; e < 3; ++e) weights.push_back(mix.weights[t][e].item<double>());
        for (int p = 0; p < 3; ++p) {
          const auto part = static_cast<size_t>(p);
          CHECK(relative(ys[part].detach().narrow(0, t, 1),
                         fused(test::qkv_of(network).parts[part], x.detach().narrow(0, t, 1), pool.delta(p, weights))) <
                kRounding);
        }
      }
    }
}

TEST_CASE("nn/apply: reordering adapters together with their weights changes nothing; one of them alone does") {
  const c10::NoGradGuard no_gradients;
  at::manual_seed(10);
  nn::Network network = test::hand_made_network();
  HandMadePool pool, swapped;
  pool.add(3);
  pool.add(9);
  swapped.adapters = {pool.adapters[1], pool.adapters[0]};
  const Tensor x = at::randn({6, 33});
  const auto output = [&](const HandMadePool& which, const std::vector<double>& weights) {
    const nn::Experts experts = which.stack(network);
    const HandMadeRun pass(experts, nn::Mix::of(weights), {6});
    return nn::apply(test::qkv_of(network), x, pass.run)[0];
  };
  const Tensor y = output(pool, {0.5, -2.0});
  CHECK(relative(output(swapped, {-2.0, 0.5}), y) < kRounding);
  CHECK(relative(output(swapped, {0.5, -2.0}), y) > 1e-3);
}

TEST_CASE("nn/apply: groups of modules have their own weights") {
  const c10::NoGradGuard no_gradients;
  at::manual_seed(11);
  nn::Network network = test::hand_made_network();
  HandMadePool pool;
  pool.add(3);
  pool.add(4);
  const nn::Experts experts = pool.stack(network);
  REQUIRE(experts.modules().size() == 3);
  nn::Mix mix;
  mix.weights = at::tensor(at::ArrayRef<float>({1.0f, 0.0f, 0.25f, -0.5f})).view({1, 2, 2});
  mix.group_of_module = {0, 1, 0};
  const std::vector<std::vector<double>> weights = {{1.0, 0.0}, {0.25, -0.5}, {1.0, 0.0}};
  for (const std::int64_t tokens : {2, 30}) {
    const HandMadeRun pass(experts, mix, {tokens});
    const Tensor x = at::randn({tokens, 33});
    const auto ys = nn::apply(test::qkv_of(network), x, pass.run);
    for (int p = 0; p < 3; ++p) {
      const auto part = static_cast<size_t>(p);
      CHECK(relative(ys[part], fused(test::qkv_of(network).parts[part], x, pool.delta(p, weights[part]))) < kRounding);
    }
  }
}

}  // namespace weft
