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

constexpr std::int64_t kOversample = 8;  // at the least
constexpr std::int64_t kWidthStep = 16;  // products of fewer columns take as long
constexpr std::int64_t kMostBlocks = 8;
constexpr std::int64_t kColumnChunk = 512;
constexpr std::int64_t kDenseLimit = 192;  // up to this min(m, n) a dense SVD is small
constexpr double kEnough = 3e-3;           // of the squared error: 0.15 % of the error
constexpr std::uint64_t kTestMatrixKey = 0x7765667453564431ull;

std::int64_t block_width(std::int64_t rank) { return (rank + kOversample + kWidthStep - 1) / kWidthStep * kWidthStep; }

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
  // Uniform entries serve as well as normal ones and need no logarithms.
  for (std::int64_t e = 0; e < rows * cols; e += 4) {
    const auto words = random.block(static_cast<std::uint64_t>(e / 4));
    for (std::int64_t w = 0; w < 4 && e + w < rows * cols; ++w)
      data[e + w] = static_cast<float>(static_cast<std::int32_t>(words[static_cast<size_t>(w)])) * 0x1p-31f;
  }
  return out;
}

/// Where the iteration starts: the guess, filled up with random columns, of which there are always some, for a guess
/// may miss a direction.
Tensor first_block(const RandomSvdOptions& options, std::int64_t rows, std::int64_t width) {
  if (!options.guess.defined()) return test_matrix(rows, width);
  const std::int64_t known = std::min(options.guess.size(1), width - kOversample);
  const Tensor guess = options.guess.narrow(1, 0, known).to(at::kFloat);
  // Columns of about the same length: the guess may be as tiny as an adapter's update.
  const double length = guess.norm().item<double>() / std::sqrt(static_cast<double>(guess.numel()));
  return at::cat({length > 0 ? guess / length : guess, test_matrix(rows, width - known)}, 1);
}

/// Orthonormal basis of y against the columns of `basis` (orthonormal or undefined), float64; dependent directions are
/// dropped.
Tensor orthonormalize(const Tensor& y, const Tensor& basis) {
  Tensor x = y.to(at::kDouble);
  for (int round = 0; round < 2; ++round) {
    if (basis.defined()) x.addmm_(basis, at::mm(basis.t(), x), 1.0, -1.0);
    const auto [values, vectors] = at::linalg_eigh(at::mm(x.t(), x));
    const double largest = values[-1].item<double>();
    if (!(largest > 0)) return at::empty({y.size(0), 0}, x.options());
    const std::int64_t alive = values.gt(largest * 1e-12).sum().item<std::int64_t>();
    const std::int64_t first = values.size(0) - alive;
    x = at::mm(x, vectors.narrow(1, first, alive) / values.narrow(0, first, alive).sqrt());
  }
  return x;
}

/// The projection Qᵀ M as it grows: z = Mᵀ Q and its Gram matrix, whose eigenvalues are the squared Ritz values.
class Projection {
 public:
  void add(const Tensor& basis, const Tensor& image) {
    const Tensor fresh = image.to(at::kDouble);
    const Tensor corner = at::mm(fresh.t(), fresh);
    if (z_.defined()) {
      const Tensor side = at::mm(z_.t(), fresh);
      gram_ = at::cat({at::cat({gram_, side}, 1), at::cat({side.t(), corner}, 1)}, 0);
    } else {
      gram_ = corner;
    }
    q_ = q_.defined() ? at::cat({q_, basis}, 1) : basis;
    z_ = z_.defined() ? at::cat({z_, fresh}, 1) : fresh;
  }
  /// Squared norm of the best rank-k part inside the projection.
  double captured(std::int64_t rank) const {
    const Tensor values = at::linalg_eigvalsh(gram_);
    const std::int64_t k = std::min(rank, values.size(0));
    return values.narrow(0, values.size(0) - k, k).clamp_min(0).sum().item<double>();
  }
  const Tensor& basis() const { return q_; }
  Factored truncate(std::int64_t wanted, double norm) const {
    const auto [values, vectors] = at::linalg_eigh(gram_);
    const Tensor all = values.flip(0).clamp_min(0).sqrt();
    const std::int64_t rank = std::min(wanted, all.gt(all[0] * 1e-7).sum().item<std::int64_t>());
    const Tensor rotation = vectors.flip(1).narrow(1, 0, rank), sigma = all.narrow(0, 0, rank);
    return balance(at::mm(q_, rotation), sigma, at::mm(z_, rotation) / sigma, rank, norm);
  }

 private:
  Tensor q_, z_, gram_;  // [m, c], [n, c], [c, c], float64
};

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
  const std::int64_t basis = block_width(rank) * kMostBlocks;
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
  const std::int64_t m = source.rows(), n = source.cols(), width = block_width(options.rank);
  if (std::min(m, n) <= std::max(kDenseLimit, 3 * width)) return dense_case(source, options);

  Tiles tiles(source, options);
  Tensor y = at::empty({m, width}, at::kFloat);
  const double squares = tiles.multiply_first(first_block(options, n, width), y);
  if (squares == 0) return zero_case(source);

  Projection projection;
  double before = 0;
  for (std::int64_t block = 0; block < kMostBlocks; ++block) {
    const Tensor fresh = orthonormalize(y, projection.basis());
    if (fresh.size(1) == 0) break;
    Tensor image = at::empty({n, fresh.size(1)}, at::kFloat);
    tiles.multiply_transposed(fresh.to(at::kFloat), image);
    projection.add(fresh, image);
    const double captured = projection.captured(options.rank), lost = std::max(0.0, squares - captured);
    if (captured - before <= kEnough * lost || lost <= 1e-13 * squares || block + 1 == kMostBlocks) break;
    before = captured;
    y = at::empty({m, image.size(1)}, at::kFloat);
    tiles.multiply(image, y);
  }
  return projection.truncate(options.rank, std::sqrt(squares));
}

}  // namespace weft::linalg
