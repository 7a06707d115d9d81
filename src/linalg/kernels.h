#pragma once

#include <cstdint>
#include <vector>

namespace weft::linalg {

/// How entries of several updates become one; see Kernels::combine.
struct CombineRule {
  bool consensus = false;       ///< only entries that agree with the elected sign count
  bool frequency = false;       ///< elect by the number of signs instead of the sum
  bool weighted_vote = false;   ///< elect on weight * entry
  bool mean = false;            ///< divide by what agreed (only with consensus)
  bool weight_divisor = false;  ///< … by the sum of |weights| instead of the count
  float factor = 1.0f;          ///< multiplies the result
};

/// Columns that share one block of random words; masks are keyed by (row, column) through it, so it is part of the
/// format.
inline constexpr std::int64_t kMaskGroup = 64;

/**
 * Loops over float rows, compiled for several instruction sets and chosen once at run time. Every entry is computed by
 * the same sequence of operations wherever tiles begin, so results do not depend on tiling or threads.
 */
struct Kernels {
  /// out[i, j] = Σ_ρ b[i, ρ] a[ρ, j], summed in the order of ρ. b [rows, rank] (ldb), a [rank, cols] (lda), out (ldo).
  void (*product)(const float* b, std::int64_t ldb, const float* a, std::int64_t lda, std::int64_t rows,
                  std::int64_t rank, std::int64_t cols, float* out, std::int64_t ldo);
  /// Adds to *above the number of |x| > high; writes the |x| in [low, high] to `inside` (room for n) and returns how
  /// many.
  std::int64_t (*bracket)(const float* x, std::int64_t n, float low, float high, std::int64_t* above, float* inside);
  /// x = |x| >= threshold ? x : 0
  void (*keep_large)(float* x, std::int64_t n, float threshold);
  /// Keeps x[j] with probability limit / 2^32 and multiplies survivors by `rescale`; the draw depends on (key, row,
  /// column0 + j) alone. column0 must be a multiple of kMaskGroup.
  void (*keep_random)(float* x, std::int64_t n, std::uint64_t key, std::int64_t row, std::int64_t column0,
                      std::uint64_t limit, float rescale);
  /// out[j] = rule over x[0..count)[j] with weights w[0..count).
  void (*combine)(const float* const* x, const float* w, std::int64_t count, std::int64_t n, const CombineRule& rule,
                  float* out);
  /// Σ x², in double, in a fixed order.
  double (*sum_squares)(const float* x, std::int64_t n);
  const char* name;
};

/// The best set this processor runs.
const Kernels& kernels();
/// Every set this processor runs, the plainest first.
const std::vector<Kernels>& all_kernels();

}  // namespace weft::linalg
