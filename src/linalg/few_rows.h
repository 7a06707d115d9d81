#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace weft::linalg {

/// How weights are stored; they are widened to float32 on the way into the arithmetic.
enum class Stored { kFloat32, kBFloat16, kFloat16 };

/// Bytes of one stored number.
constexpr std::int64_t stored_size(Stored type) { return type == Stored::kFloat32 ? 4 : 2; }

/**
 * One matrix of few_rows: y (+)= scale · x Wᵀ + bias. All pointers stay the caller's; `y` of different parts must not
 * overlap, and no `y` may overlap an input.
 */
struct FewRowsPart {
  const void* w = nullptr;         ///< [out, in], or [in, out] when transposed; not necessarily aligned
  Stored type = Stored::kFloat32;  ///< of `w`
  std::int64_t out = 0;            ///< rows of W, columns of y
  std::int64_t ldw = 0;            ///< numbers between the rows of `w` as stored
  bool transposed = false;         ///< `w` is stored [in, out]
  const float* bias = nullptr;     ///< [out], added once; null for none
  float* y = nullptr;              ///< [m, out], rows ldy apart
  std::int64_t ldy = 0;
  bool accumulate = false;  ///< add to y instead of overwriting it
  float scale = 1.0f;       ///< of the product, not of the bias
  /// The part's own input [m, in], rows ldx apart; null for the input that all parts share.
  const float* x = nullptr;
  std::int64_t in = 0;   ///< only with `x`
  std::int64_t ldx = 0;  ///< only with `x`
};

/**
 * Products of a few rows with several matrices, in one parallel loop over the rows of all matrices: the weights are
 * read once, at the speed of the memory. `x` is [m, in], rows ldx apart. Meant for m <= 16 (decoding); correct, but not
 * the fastest way, for more. `threads` 0 means at::get_num_threads(), 1 runs inline; inside another parallel loop the
 * work is inline. Every output has the same bits whatever `threads`, the other rows of x and the other parts are.
 */
void few_rows(const float* x, std::int64_t m, std::int64_t in, std::int64_t ldx, std::span<const FewRowsPart> parts,
              int threads = 0);

/// Copies [rows, cols] numbers (rows ld_from numbers apart) to float32 (rows ld_to apart), exactly. `threads` as above.
void widen(const void* from, Stored type, std::int64_t rows, std::int64_t cols, std::int64_t ld_from, float* to,
           std::int64_t ld_to, int threads = 0);

/// The loops of this header for one instruction set.
struct FewRowsKernels {
  /// Outputs [first, last) of a part, for all m rows of its input.
  void (*rows)(const FewRowsPart& part, const float* x, std::int64_t m, std::int64_t in, std::int64_t ldx,
               std::int64_t first, std::int64_t last);
  /// n numbers, widened.
  void (*widen)(const void* from, Stored type, std::int64_t n, float* to);
  const char* name;
};

/// Every set this processor runs, the plainest first; the last is the one in use.
const std::vector<FewRowsKernels>& all_few_rows_kernels();

}  // namespace weft::linalg
