#include "linalg/random_svd.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "linalg/kernels.h"
#include "linalg/rows.h"
#include "weft/core/parallel.h"
#include "weft/core/random.h"

namespace weft::linalg {

namespace {

constexpr std::int64_t kOversample = 8;
constexpr std::int64_t kMostBlocks = 8;
constexpr std::int64_t kColumnChunk = 512;
constexpr std::int64_t kDenseLimit = 192;  // up to this min(m, n) a dense SVD is as quick
constexpr double kEnough = 4e-4;           // of the squared error: 0.02 % of the error
constexpr std::uint64_t kTestMatrixKey = 0x7765667453564431ull;

/// The matrix, either kept after the first pass or produced again tile by tile.
class Tiles {
 public:
  Tiles(const TileSource& source, const RandomSvdOptions& options) : source_(source), threads_(options.threads) {
    const std::int64_t whole = source.rows() * source.cols() * 4;
    keep_ = options.memory <= 0 ||
            whole + random_svd_memory(source.rows(), source.cols(), options.rank, threads_) <= options.memory;
    if (keep_) kept_ = at::empty({source.rows(), source.cols()}, at::kFloat);
  }

  /// First pass: y = M x, and the sum of squares of M.
  double multiply_first(const Tensor& x, Tensor& y) {
    std::vector<double> squares(static_cast<size_t>(count()), 0.0);
    parallel_for(count(), threads_, [&](std::int64_t t) {
      const Tensor m = produce(t);
      squares[static_cast<size_t>(t)] = kernels().sum_squares(m.const_data_ptr<float>(), m.numel());
      multiply_tile(t, m, x, y);
    });
    produced_ = keep_;
    double sum = 0;
    for (const double s : squares) sum += s;
    return sum;
  }

  /// y = M x
  void multiply(const Tensor& x, Tensor& y) const {
    parallel_for(count(), threads_, [&](std::int64_t t) { multiply_tile(t, produce(t), x, y); });
  }

  /// z = Mᵀ q, added up over the tiles in order within chunks of columns.
  void multiply_transposed(const Tensor& q, Tensor& z) const {
    z.zero_();
    const std::int64_t chunks = (source_.cols() + kColumnChunk - 1) / kColumnChunk;
    const auto add = [&](std::int64_t t, const Tensor& m, std::int64_t c) {
      const std::int64_t j0 = c * kColumnChunk, width = std::min(kColumnChunk, source_.cols() - j0);
      Tensor part = z.narrow(0, j0, width);
      at::addmm_out(part, part, m.narrow(1, j0, width).t(), q.narrow(0, t * kTileRows, m.size(0)));
    };
    if (keep_) {
      parallel_for(chunks, threads_, [&](std::int64_t c) {
        for (std::int64_t t = 0; t < count(); ++t) add(t, stored(t), c);
      });
      return;
    }
    const std::int64_t batch = threads_ > 0 ? threads_ : default_threads();
    std::vector<Tensor> tiles(static_cast<size_t>(batch));
    for (std::int64_t t0 = 0; t0 < count(); t0 += batch) {
      const std::int64_t n = std::min(batch, count() - t0);
      parallel_for(n, threads_, [&](std::int64_t i) { tiles[static_cast<size_t>(i)] = produce(t0 + i); });
      parallel_for(chunks, threads_, [&](std::int64_t c) {
        for (std::int64_t i = 0; i < n; ++i) add(t0 + i, tiles[static_cast<size_t>(i)], c);
      });
    }
  }

 private:
  std::int64_t count() const { return tile_count(source_.rows()); }
  std::int64_t height(std::int64_t t) const { return std::min(kTileRows, source_.rows() - t * kTileRows); }
  Tensor stored(std::int64_t t) const { return kept_.narrow(0, t * kTileRows, height(t)); }

  Tensor produce(std::int64_t t) const {
    if (produced_) return stored(t);
    Tensor m = keep_ ? stored(t) : at::empty({height(t), source_.cols()}, at::kFloat);
    source_.tile(t, m.mutable_data_ptr<float>());
    return m;
  }

  void multiply_tile(std::int64_t t, const Tensor& m, const Tensor& x, Tensor& y) const {
    Tensor rows = y.narrow(0, t * kTileRows, m.size(0));
    at::mm_out(rows, m, x);
  }

  const TileSource& source_;
  int threads_;
  bool keep_ = false, produced_ = false;
  Tensor kept_;
};

Tensor test_matrix(std::int64_t rows, std::int64_t cols) {
  const Philox random(kTestMatrixKey);
  Tensor out = at::empty({rows, cols}, at::kFloat);
  float* data = out.mutable_data_ptr<float>();
  // Uniform entries sketch as well as normal ones and cost a quarter.
  for (std::int64_t e = 0; e < rows * cols; e += 4) {
    const auto words = random.block(static_cast<std::uint64_t>(e / 4));
    for (std::int64_t w = 0; w < 4 && e + w < rows * cols; ++w)
      data[e + w] = static_cast<float>(static_cast<std::int32_t>(words[static_cast<size_t>(w)])) * 0x1p-31f;
  }
  return out;
}

/// Orthonormal basis of y against the columns of `basis` (orthonormal or undefined), float64 inside; dependent
/// directions are dropped.
Tensor orthonormalize(const Tensor& y, const Tensor& basis) {
  Tensor x = y.to(at::kDouble);
  const Tensor q = basis.defined() ? basis.to(at::kDouble) : Tensor();
  for (int round = 0; round < 2; ++round) {
    if (q.defined()) x = x - at::mm(q, at::mm(q.t(), x));
    const auto [values, vectors] = at::linalg_eigh(at::mm(x.t(), x));
    const double largest = values[-1].item<double>();
    if (!(largest > 0)) return at::empty({y.size(0), 0}, y.options());
    const std::int64_t alive = values.gt(largest * 1e-12).sum().item<std::int64_t>();
    const std::int64_t first = values.size(0) - alive;
    x = at::mm(x, vectors.narrow(1, first, alive) / values.narrow(0, first, alive).sqrt());
  }
  return x.to(at::kFloat);
}

struct Ritz {
  Tensor sigma;     // [c] descending, float64
  Tensor rotation;  // [c, c]
  double captured = 0;
};

/// Singular values of the projection Qᵀ M from z = Mᵀ Q [n, c].
Ritz rayleigh_ritz(const Tensor& z, std::int64_t rank) {
  const Tensor zd = z.to(at::kDouble);
  const auto [values, vectors] = at::linalg_eigh(at::mm(zd.t(), zd));
  Ritz out;
  out.sigma = values.flip(0).clamp_min(0).sqrt();
  out.rotation = vectors.flip(1);
  out.captured = out.sigma.narrow(0, 0, std::min(rank, out.sigma.size(0))).square().sum().item<double>();
  return out;
}

Factored dense_case(const TileSource& source, const RandomSvdOptions& options) {
  const std::int64_t rank = options.rank;
  return truncate_dense(materialize(source, options.threads),
                        [rank](const std::vector<double>&, double) { return rank; });
}

Factored zero_case(const TileSource& source) {
  return {at::zeros({source.rows(), 1}, at::kFloat), at::zeros({1, source.cols()}, at::kFloat), 0.0, 0.0};
}

}  // namespace

std::int64_t random_svd_memory(std::int64_t rows, std::int64_t cols, std::int64_t rank, int threads) {
  const std::int64_t basis = (rank + kOversample) * kMostBlocks;
  const std::int64_t workers = threads > 0 ? threads : default_threads();
  return (rows + cols) * basis * (4 + 2 * 8) + workers * kTileRows * cols * 4;
}

Tensor materialize(const TileSource& source, int threads) {
  Tensor out = at::empty({source.rows(), source.cols()}, at::kFloat);
  parallel_for(tile_count(source.rows()), threads,
               [&](std::int64_t t) { source.tile(t, out.mutable_data_ptr<float>() + t * kTileRows * source.cols()); });
  return out;
}

Factored random_svd(const TileSource& source, const RandomSvdOptions& options) {
  const std::int64_t m = source.rows(), n = source.cols(), width = options.rank + kOversample;
  if (std::min(m, n) <= std::max(kDenseLimit, 3 * width)) return dense_case(source, options);

  Tiles tiles(source, options);
  Tensor y = at::empty({m, width}, at::kFloat);
  const double squares = tiles.multiply_first(test_matrix(n, width), y);
  if (squares == 0) return zero_case(source);

  Tensor q, z;  // basis [m, c] and Mᵀ basis [n, c]
  Ritz ritz;
  double before = 0;
  for (std::int64_t block = 0; block < kMostBlocks; ++block) {
    const Tensor fresh = orthonormalize(y, q);
    if (fresh.size(1) == 0) break;
    Tensor image = at::empty({n, fresh.size(1)}, at::kFloat);
    tiles.multiply_transposed(fresh, image);
    q = q.defined() ? at::cat({q, fresh}, 1) : fresh;
    z = z.defined() ? at::cat({z, image}, 1) : image;
    ritz = rayleigh_ritz(z, options.rank);
    const double lost = std::max(0.0, squares - ritz.captured);
    if (ritz.captured - before <= kEnough * lost || lost <= 1e-13 * squares || block + 1 == kMostBlocks) break;
    before = ritz.captured;
    y = at::empty({m, image.size(1)}, at::kFloat);
    tiles.multiply(image, y);
  }
  const std::int64_t rank = std::min(options.rank, ritz.sigma.gt(ritz.sigma[0] * 1e-7).sum().item<std::int64_t>());
  const Tensor rotation = ritz.rotation.narrow(1, 0, rank);
  const Tensor sigma = ritz.sigma.narrow(0, 0, rank);
  const Tensor u = at::mm(q.to(at::kDouble), rotation);
  const Tensor v = at::mm(z.to(at::kDouble), rotation) / sigma;
  return balance(u, sigma, v, rank, std::sqrt(squares));
}

}  // namespace weft::linalg
