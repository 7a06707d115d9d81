#include "linalg/gram.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cmath>

namespace weft::linalg {
namespace {

struct GramCase {
  std::vector<SingularFactors> deltas;
  std::vector<Tensor> dense;  // float64
};

GramCase random_gram_case(const std::vector<std::int64_t>& ranks, std::int64_t out, std::int64_t in) {
  at::manual_seed(7);
  GramCase c;
  for (size_t i = 0; i < ranks.size(); ++i) {
    const double scale = i % 2 == 0 ? 2.0 : -0.5;
    const Tensor b = at::randn({out, ranks[i]}), a = at::randn({ranks[i], in});
    c.deltas.push_back(singular_factors(b, a, scale));
    c.dense.push_back(at::matmul(b.to(at::kDouble), a.to(at::kDouble)).mul(scale));
  }
  return c;
}

}  // namespace

TEST_CASE("linalg/gram: singular factors rebuild the delta") {
  const GramCase c = random_gram_case({1, 4, 40}, 30, 24);  // the last rank is above both sides
  for (size_t i = 0; i < c.deltas.size(); ++i) {
    const SingularFactors& d = c.deltas[i];
    const Tensor back = at::matmul(d.u.mul(d.s), d.v.t());
    // float64 throughout: some hundred roundings of 1e-16
    CHECK((back - c.dense[i]).norm().item<double>() <= 1e-13 * c.dense[i].norm().item<double>());
    CHECK((at::matmul(d.u.t(), d.u) - at::eye(d.s.numel(), at::kDouble)).abs().max().item<double>() < 1e-13);
  }
}

TEST_CASE("linalg/gram: values of a rank-deficient and of a zero delta") {
  at::manual_seed(3);
  const Tensor b = at::randn({20, 2}), a = at::randn({4, 10});
  const Tensor doubled = at::cat({b, b}, 1);
  CHECK(singular_values(doubled, a, 1.0).size() == 2);
  CHECK(singular_values(at::zeros({20, 4}), a, 1.0).empty());
  CHECK(singular_values(at::zeros({20, 0}), at::zeros({0, 10}), 1.0).empty());
  CHECK(effective_rank({}) == 0.0);
  CHECK(effective_rank({3.0}) == doctest::Approx(1.0));
  CHECK(effective_rank({2.0, 2.0, 2.0}) == doctest::Approx(3.0));
  CHECK(effective_rank({1e-200, 1e-200}) == doctest::Approx(2.0));
}

TEST_CASE("linalg/gram: all pairs agree with dense products") {
  // Ranks chosen so that the stack crosses the row block of 512 inside a delta.
  const GramCase c = random_gram_case({3, 300, 300, 5, 0}, 320, 310);
  const size_t n = c.deltas.size();
  const PairProducts got = pair_products(c.deltas);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      const double want = (c.dense[i] * c.dense[j]).sum().item<double>();
      const double size = c.dense[i].norm().item<double>() * c.dense[j].norm().item<double>();
      CHECK(std::abs(got.gram[i * n + j] - want) <= 1e-12 * size);
      const double least = static_cast<double>(std::min(c.deltas[i].s.numel(), c.deltas[j].s.numel()));
      const double angles = at::matmul(c.deltas[i].u.t(), c.deltas[j].u).square().sum().item<double>();
      CHECK(got.overlap[i * n + j] == doctest::Approx(least > 0 ? angles / least : 0.0).epsilon(1e-10));
    }
  CHECK(got.overlap[0] == doctest::Approx(1.0));
  CHECK(got.overlap[n * n - 1] == 0.0);
}

}  // namespace weft::linalg
