#include "linalg/random_svd.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cmath>

#include "linalg/rows.h"
#include "support/close.h"

using weft::linalg::Factored;
using weft::linalg::kTileRows;

namespace {

class DenseSource : public weft::linalg::TileSource {
 public:
  explicit DenseSource(at::Tensor matrix) : matrix_(matrix.to(at::kFloat).contiguous()) {}
  std::int64_t rows() const override { return matrix_.size(0); }
  std::int64_t cols() const override { return matrix_.size(1); }
  void tile(std::int64_t t, float* out) const override {
    const at::Tensor rows = matrix_.narrow(0, t * kTileRows, std::min(kTileRows, matrix_.size(0) - t * kTileRows));
    std::copy_n(rows.const_data_ptr<float>(), rows.numel(), out);
  }
  const at::Tensor& matrix() const { return matrix_; }

 private:
  at::Tensor matrix_;
};

}  // namespace

TEST_CASE("linalg/random_svd: within 0.2 % of the best error on spectra that hardly decay") {
  at::manual_seed(31);
  const at::Tensor low = at::mm(at::randn({700, 40}), at::randn({40, 500}));
  struct Case {
    const char* name;
    at::Tensor matrix;
  };
  for (const Case& c :
       {Case{"pruned low rank", low * low.abs().gt(low.abs().median())}, Case{"white noise", at::randn({700, 500})},
        Case{"low rank and noise", low + at::randn({700, 500})}}) {
    CAPTURE(c.name);
    const DenseSource source(c.matrix);
    const Factored f = weft::linalg::random_svd(source, {16, 0, 2});
    CHECK(f.a.size(0) == 16);
    CHECK(f.error <= weft::test::best_error(source.matrix(), 16) * 1.002);
    // The error is told exactly, up to float32 in the factors.
    CHECK(std::fabs(weft::test::relative(weft::test::dense(f), source.matrix()) - f.error) < 1e-6);
  }
}

TEST_CASE("linalg/random_svd: an exact low rank is found whole") {
  at::manual_seed(32);
  const DenseSource source(at::mm(at::randn({600, 5}), at::randn({5, 400})));
  const Factored f = weft::linalg::random_svd(source, {16, 0, 1});
  CHECK(f.a.size(0) == 5);
  CHECK(weft::test::relative(weft::test::dense(f), source.matrix()) < 1e-6);
}

TEST_CASE("linalg/random_svd: neither threads nor memory change a bit") {
  at::manual_seed(33);
  const at::Tensor low = at::mm(at::randn({1100, 30}), at::randn({30, 900}));
  const DenseSource source(low * low.abs().gt(3.0));
  const Factored kept = weft::linalg::random_svd(source, {8, 0, 2});
  for (const auto& [memory, threads] : {std::pair<std::int64_t, int>{1, 2}, {1, 1}, {0, 1}, {1, 3}}) {
    const Factored again = weft::linalg::random_svd(source, {8, memory, threads});
    CHECK(at::equal(kept.a, again.a));
    CHECK(at::equal(kept.b, again.b));
  }
}

TEST_CASE("linalg/random_svd: a guess helps, a wrong one does no harm") {
  at::manual_seed(35);
  const at::Tensor b = at::randn({700, 40}), a = at::randn({40, 500});
  const at::Tensor low = at::mm(b, a);
  const DenseSource source(low * low.abs().gt(low.abs().median()));
  const double best = weft::test::best_error(source.matrix(), 16);
  for (const at::Tensor& guess :
       {a.t().contiguous(), at::randn({500, 3}), at::zeros({500, 30}), at::ones({500, 30}) * 1e-30}) {
    const Factored f = weft::linalg::random_svd(source, {16, 0, 2, guess});
    CHECK(f.error <= best * 1.002);
  }
}

TEST_CASE("linalg/random_svd: a matrix of zeros") {
  const Factored f = weft::linalg::random_svd(DenseSource(at::zeros({800, 700})), {4, 0, 2});
  CHECK(weft::test::dense(f).abs().max().item<double>() == 0.0);
  CHECK(f.error == 0.0);
}

TEST_CASE("linalg/random_svd: small matrices take the dense way") {
  at::manual_seed(34);
  const DenseSource source(at::randn({300, 60}));
  const Factored f = weft::linalg::random_svd(source, {10, 0, 2});
  CHECK(std::fabs(f.error - weft::test::best_error(source.matrix(), 10)) < 1e-6);
}
