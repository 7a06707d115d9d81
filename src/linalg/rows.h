#pragma once

#include <cstdint>
#include <vector>

#include "weft/core/tensor.h"

namespace weft::linalg {

/**
 * A delta `b · a`, plus a dense part where it has one, that is only ever looked at in blocks of rows and columns; the
 * product never exists as a whole. The scale is in b. Holds its factors; copies are cheap.
 */
class FactoredRows {
 public:
  /// b [m, r], a [r, n] of any float dtype; converted to contiguous float32, b times `scale`.
  FactoredRows(const Tensor& b, const Tensor& a, double scale);
  /// The same plus `dense` [m, n] (undefined: nothing), which the scale does not touch.
  FactoredRows(const Tensor& b, const Tensor& a, double scale, const Tensor& dense);

  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  std::int64_t rank() const { return rank_; }
  /// Entries [i0, i1) x [j0, j1) into out (row stride ldo). Every entry is the same whatever the block.
  void block(std::int64_t i0, std::int64_t i1, std::int64_t j0, std::int64_t j1, float* out, std::int64_t ldo) const;
  /// Magnitudes of `count` entries at random places drawn from (key, 0 … count - 1).
  std::vector<float> sample_magnitudes(std::int64_t count, std::uint64_t key) const;

 private:
  Tensor b_, a_, dense_;
  std::int64_t rows_, cols_, rank_;
};

/// Rows of a task and the block that is worked on at a time; fixed, so that results do not depend on threads or memory.
inline constexpr std::int64_t kTileRows = 256;
inline constexpr std::int64_t kBlockRows = 16;
inline constexpr std::int64_t kBlockCols = 512;

/// Number of tiles of kTileRows rows.
inline std::int64_t tile_count(std::int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

}  // namespace weft::linalg
