#include "linalg/lowrank.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cmath>

#include "support/close.h"

using weft::linalg::Factored;
using weft::linalg::RankChoice;
using weft::linalg::Term;
using weft::test::relative;

namespace {

// Results are stored as float32, so 1e-6 is a few units of its last place.
constexpr double kFloat = 1e-6;

std::vector<Term> random_terms(std::int64_t m, std::int64_t n, const std::vector<std::int64_t>& ranks) {
  std::vector<Term> terms;
  for (size_t i = 0; i < ranks.size(); ++i)
    terms.push_back({at::randn({m, ranks[i]}), at::randn({ranks[i], n}), i % 2 == 0 ? 0.7 : -1.3});
  return terms;
}

at::Tensor dense_sum(const std::vector<Term>& terms) {
  at::Tensor sum = at::zeros({terms[0].b.size(0), terms[0].a.size(1)}, at::kDouble);
  for (const Term& t : terms) sum += at::mm(t.b.to(at::kDouble), t.a.to(at::kDouble)) * t.scale;
  return sum;
}

RankChoice fixed(std::int64_t k) {
  return [k](const std::vector<double>&, double) { return k; };
}

}  // namespace

TEST_CASE("linalg/lowrank: a stack is the sum, signs and all") {
  at::manual_seed(1);
  const auto terms = random_terms(9, 7, {2, 3, 1});
  const Factored f = weft::linalg::stack(terms);
  CHECK(f.a.size(0) == 6);
  CHECK(relative(weft::test::dense(f), dense_sum(terms)) < kFloat);
}

TEST_CASE("linalg/lowrank: truncation is the best approximation, and its error is told") {
  at::manual_seed(2);
  for (const auto& [m, n] : {std::pair{60, 45}, {45, 60}, {5000, 37}}) {
    const auto terms = random_terms(m, n, {4, 6, 3});
    const at::Tensor sum = dense_sum(terms);
    for (const std::int64_t k : {1, 5, 12}) {
      CAPTURE(m);
      CAPTURE(k);
      const Factored f = weft::linalg::truncate_sum(terms, fixed(k));
      CHECK(f.a.size(0) == k);
      const double measured = relative(weft::test::dense(f), sum);
      CHECK(std::fabs(measured - weft::test::best_error(sum, k)) < kFloat);
      CHECK(std::fabs(measured - f.error) < kFloat);
      CHECK(f.norm == doctest::Approx(sum.norm().item<double>()).epsilon(1e-9));
    }
  }
}

TEST_CASE("linalg/lowrank: more rank than the matrix has") {
  at::manual_seed(3);
  const auto terms = random_terms(6, 5, {4, 4, 4});
  const Factored f = weft::linalg::truncate_sum(terms, fixed(12));
  CHECK(f.a.size(0) == 5);
  CHECK(relative(weft::test::dense(f), dense_sum(terms)) < kFloat);
}

TEST_CASE("linalg/lowrank: duplicates, near duplicates and cancellation lose nothing") {
  at::manual_seed(4);
  Term one{at::randn({50, 4}), at::randn({4, 40}), 1.0};
  Term copy = one;
  copy.scale = 2.0;
  const Factored twice = weft::linalg::truncate_sum({one, copy}, fixed(4));
  CHECK(relative(weft::test::dense(twice), dense_sum({one}) * 3.0) < kFloat);
  CHECK(twice.error < 1e-7);

  // The difference of two adapters that agree to four digits keeps its own float32 accuracy.
  Term near = one;
  near.a = one.a + at::randn({4, 40}) * 1e-4;
  near.scale = -1.0;
  CHECK(relative(weft::test::dense(weft::linalg::truncate_sum({one, near}, fixed(4))), dense_sum({one, near})) < 1e-5);

  copy.scale = -1.0;
  const Factored nothing = weft::linalg::truncate_sum({one, copy}, fixed(4));
  CHECK(weft::test::dense(nothing).norm().item<double>() < 1e-5);
}

TEST_CASE("linalg/lowrank: factors of very different sizes") {
  at::manual_seed(5);
  const std::vector<Term> terms = {{at::randn({40, 3}) * 1e-8, at::randn({3, 30}) * 1e8, 1.0},
                                   {at::randn({40, 3}) * 1e8, at::randn({3, 30}) * 1e-8, 1.0}};
  CHECK(relative(weft::test::dense(weft::linalg::truncate_sum(terms, fixed(6))), dense_sum(terms)) < kFloat);
}

TEST_CASE("linalg/lowrank: a sum of nothing is a zero of rank one") {
  const Factored f = weft::linalg::truncate_sum({{at::zeros({5, 2}), at::randn({2, 4}), 1.0}}, fixed(2));
  CHECK(f.a.size(0) == 1);
  CHECK(weft::test::dense(f).abs().max().item<double>() == 0.0);
  CHECK(f.error == 0.0);
}

TEST_CASE("linalg/lowrank: factors are balanced and their signs fixed") {
  at::manual_seed(6);
  const auto terms = random_terms(30, 20, {3, 3});
  const Factored f = weft::linalg::truncate_sum(terms, fixed(4));
  // b = U √Σ and a = √Σ Vᵀ have the same column and row lengths, up to float32.
  CHECK(relative(f.b.norm(2, 0), f.a.norm(2, 1)) < kFloat);
  const at::Tensor largest = f.b.gather(0, f.b.abs().argmax(0, true));
  CHECK(largest.min().item<double>() > 0.0);
}

TEST_CASE("linalg/lowrank: the spectrum equals that of the dense sum") {
  at::manual_seed(7);
  const auto terms = random_terms(30, 20, {3, 4});
  const std::vector<double> sigma = weft::linalg::singular_values(terms);
  const at::Tensor reference = at::linalg_svdvals(dense_sum(terms));
  REQUIRE(sigma.size() == 7);
  for (size_t i = 0; i < sigma.size(); ++i)
    CHECK(sigma[i] == doctest::Approx(reference[static_cast<std::int64_t>(i)].item<double>()).epsilon(1e-10));
}

TEST_CASE("linalg/lowrank: a dense matrix through its SVD") {
  at::manual_seed(8);
  const at::Tensor x = at::randn({20, 31});
  const Factored f = weft::linalg::truncate_dense(x, fixed(7));
  CHECK(std::fabs(relative(weft::test::dense(f), x) - weft::test::best_error(x.to(at::kDouble), 7)) < kFloat);
  CHECK(std::fabs(f.error - weft::test::best_error(x.to(at::kDouble), 7)) < kFloat);
}
