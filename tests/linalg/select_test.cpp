#include "linalg/select.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

using weft::linalg::FactoredRows;
using weft::linalg::Threshold;

namespace {

at::Tensor entries_of(const FactoredRows& x) {
  at::Tensor out = at::empty({x.rows(), x.cols()}, at::kFloat);
  x.block(0, x.rows(), 0, x.cols(), out.mutable_data_ptr<float>(), x.cols());
  return out;
}

/// What sorting by magnitude, equal ones by index, keeps.
std::vector<char> sorted_choice(const at::Tensor& x, std::int64_t k) {
  const float* data = x.const_data_ptr<float>();
  std::vector<std::int64_t> order(static_cast<size_t>(x.numel()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t p, std::int64_t q) { return std::fabs(data[p]) > std::fabs(data[q]); });
  std::vector<char> keep(order.size(), 0);
  for (std::int64_t i = 0; i < k; ++i) keep[static_cast<size_t>(order[static_cast<size_t>(i)])] = 1;
  return keep;
}

/// Entries kept by threshold and blocks of the given size; zeros count as dropped in both.
void check_choice(const FactoredRows& x, std::int64_t k, int threads, std::int64_t rows, std::int64_t cols) {
  const at::Tensor all = entries_of(x);
  const Threshold t = weft::linalg::largest_entries(x, k, threads);
  const std::vector<char> expected = sorted_choice(all, k);
  std::int64_t wrong = 0;
  std::vector<float> block(static_cast<size_t>(rows * cols));
  for (std::int64_t i = 0; i < x.rows(); i += rows)
    for (std::int64_t j = 0; j < x.cols(); j += cols) {
      const std::int64_t i1 = std::min(x.rows(), i + rows), j1 = std::min(x.cols(), j + cols);
      x.block(i, i1, j, j1, block.data(), j1 - j);
      weft::linalg::keep_largest(t, x.cols(), i, i1, j, j1, block.data(), j1 - j);
      for (std::int64_t u = i; u < i1; ++u)
        for (std::int64_t v = j; v < j1; ++v) {
          const float value = all.const_data_ptr<float>()[u * x.cols() + v];
          const float want = expected[static_cast<size_t>(u * x.cols() + v)] ? value : 0.0f;
          wrong += block[static_cast<size_t>((u - i) * (j1 - j) + v - j)] != want;
        }
    }
  CAPTURE(k);
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("linalg/select: the k largest are exactly those that sorting gives") {
  at::manual_seed(11);
  const FactoredRows x(at::randn({37, 3}), at::randn({3, 53}), 2.0);
  for (const std::int64_t k : {0, 1, 2, 500, 980, 1960, 1961}) check_choice(x, k, 1, 16, 512);
}

TEST_CASE("linalg/select: large tensors, where a sample brackets the threshold") {
  at::manual_seed(12);
  const FactoredRows x(at::randn({600, 4}), at::randn({4, 700}), 1.0);
  for (const double density : {0.001, 0.3, 0.5, 0.9, 0.999})
    check_choice(x, static_cast<std::int64_t>(density * 420000), 2, 16, 512);
}

TEST_CASE("linalg/select: equal magnitudes go to the lowest index") {
  // Entries are ±1 and ±2 only: every threshold falls among thousands of equals.
  at::manual_seed(13);
  const at::Tensor b = at::randint(1, 3, {300, 1}).to(at::kFloat);
  const at::Tensor a = at::randint(0, 2, {1, 400}).to(at::kFloat) * 2 - 1;
  const FactoredRows x(b, a, 1.0);
  for (const std::int64_t k : {1, 17, 30000, 60001, 119999}) check_choice(x, k, 2, 16, 512);
  for (const std::int64_t k : {17, 60001}) check_choice(x, k, 1, 7, 100);
}

TEST_CASE("linalg/select: mostly zeros") {
  at::Tensor b = at::zeros({400, 1});
  b.narrow(0, 0, 3).fill_(1.0);
  const FactoredRows x(b, at::ones({1, 300}), 1.0);
  for (const std::int64_t k : {100, 900, 901, 60000}) check_choice(x, k, 2, 16, 512);
}
