#pragma once

#include <cstdint>

#include "linalg/lowrank.h"

namespace weft::linalg {

/// A dense matrix that can be produced tile by tile (kTileRows rows each), any number of times, always with the same
/// bits.
class TileSource {
 public:
  virtual ~TileSource() = default;
  virtual std::int64_t rows() const = 0;
  virtual std::int64_t cols() const = 0;
  /// Writes tile t, [rows of the tile, cols] row-major. Called from several threads at once.
  virtual void tile(std::int64_t t, float* out) const = 0;
};

/// How random_svd may work; none of it changes a bit of the result but `rank`.
struct RandomSvdOptions {
  std::int64_t rank = 16;
  std::int64_t memory = 0;  ///< bytes; when the matrix fits, it is kept between passes instead of being produced again
  int threads = 0;
  /// [n, any] columns that are likely to span the leading right singular vectors; may be undefined.
  Tensor guess = Tensor();
};

/**
 * Truncated SVD of a matrix that streams by: randomized block Krylov iteration (Musco & Musco 2015, arXiv:1504.05477)
 * with blocks of rank + 8 columns or more, Rayleigh-Ritz after each, until a block lowers the error of the rank-k
 * approximation by less than 0.15 %: what the next ones would gain is a fraction of that. The error returned is the
 * exact error of the factors returned: ‖M‖² is summed while the tiles pass, and the factors are an orthogonal
 * projection of M. Matrices with min(m, n) small against the basis take a dense SVD in float64.
 */
Factored random_svd(const TileSource& source, const RandomSvdOptions& options);

/// All tiles as one dense matrix [m, n], float32.
Tensor materialize(const TileSource& source, int threads);

/// Working memory of random_svd at the least (tiles produced again in every pass), in bytes.
std::int64_t random_svd_memory(std::int64_t rows, std::int64_t cols, std::int64_t rank, int threads);

}  // namespace weft::linalg
