#pragma once

#include <cstdint>
#include <limits>

#include "linalg/rows.h"

namespace weft::linalg {

/// Which entries belong to the k largest in magnitude: |x| > value, and of those equal to it the first in row-major
/// order.
struct Threshold {
  float value = 0.0f;
  std::int64_t last_tie =
      std::numeric_limits<std::int64_t>::max();  ///< flat index of the last entry equal to `value` that is kept

  /// The smallest magnitude kept in entries [flat, flat + 1) … of a row segment that lies wholly before or after
  /// last_tie.
  float at(std::int64_t flat) const;
};

/**
 * The exact threshold of the k entries of largest magnitude, ties to the lowest index. Streams: a sample brackets the
 * k-th magnitude, one pass counts above and collects inside the bracket; a histogram of the bit patterns takes over
 * when the bracket misses. k in [0, rows * cols].
 */
Threshold largest_entries(const FactoredRows& x, std::int64_t k, int threads);

/// Zeroes what does not belong to the k largest in the block of rows [i0, i1) and columns [j0, j1) at out (row stride
/// ldo).
void keep_largest(const Threshold& t, std::int64_t cols, std::int64_t i0, std::int64_t i1, std::int64_t j0,
                  std::int64_t j1, float* out, std::int64_t ldo);

}  // namespace weft::linalg
