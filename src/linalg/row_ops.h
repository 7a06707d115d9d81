#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace weft::linalg {

// Fused operations on float32 rows, between the products of a transformer block. Strides (ld…) count floats from row
// to row. Inputs and outputs may be the same rows, but must not overlap otherwise. `threads`: 0 means
// at::get_num_threads(), 1 inline; small work is always inline; a row's bits never depend on it.

/// Rows to normalise, with an optional sum in front: h = x + add, y = norm(h).
struct NormRows {
  const float* x = nullptr;  ///< [rows, cols]
  std::int64_t ldx = 0;
  const float* add = nullptr;  ///< [rows, cols] added to x first; null for none
  std::int64_t ld_add = 0;
  float* sum = nullptr;  ///< receives x + add (may be x itself); null: not kept
  std::int64_t ld_sum = 0;
  float* y = nullptr;  ///< [rows, cols], the normalised rows
  std::int64_t ldy = 0;
  std::int64_t rows = 0, cols = 0;
};

/// y = h / √(mean(h²) + eps) · (offset + weight). `weight` [cols]; null: all ones, `offset` unused. Gemma: offset 1.
void rms_norm(const NormRows& io, const float* weight, float offset, float eps, int threads = 0);

/// y = (h − mean) / √(variance + eps) · weight + bias, the biased variance; null weight: ones, null bias: zeros.
void layer_norm(const NormRows& io, const float* weight, const float* bias, float eps, int threads = 0);

/// Elementwise functions of activate().
enum class Activation {
  kIdentity,
  kRelu,
  kSilu,       ///< x σ(x)
  kGelu,       ///< x Φ(x), exact
  kGeluTanh,   ///< the tanh form of GELU ("gelu_new", "gelu_pytorch_tanh")
  kGeluQuick,  ///< x σ(1.702 x)
  kTanh
};

/// Rows to pass through a function: y = f(x) · up, or f(x) when `up` is null.
struct ActivateRows {
  const float* x = nullptr;  ///< [rows, cols] (the gate projection, where there is one)
  std::int64_t ldx = 0;
  const float* up = nullptr;  ///< [rows, cols]
  std::int64_t ld_up = 0;
  float* y = nullptr;  ///< [rows, cols]; may be x or up
  std::int64_t ldy = 0;
  std::int64_t rows = 0, cols = 0;
};

/// Relative error of f about 1e-6 or less where f does not underflow.
void activate(const ActivateRows& io, Activation f, int threads = 0);

/// Heads to rotate in place: (row i, head h) is the head_dim floats at x + i * ldx + h * head.
struct RotaryRows {
  float* x = nullptr;
  std::int64_t ldx = 0, heads = 0, head = 0;
};

/// The angles of rotate(): row p has dim / 2 cosines and sines.
struct RotaryTable {
  const float* cos = nullptr;
  const float* sin = nullptr;
  std::int64_t ld = 0;                     ///< between rows of either; a table that repeats its halves has ld = dim
  std::int64_t dim = 0;                    ///< even; the first `dim` numbers of a head turn, the rest stay
  bool interleaved = false;                ///< pairs (2j, 2j + 1) instead of (j, j + dim / 2)
  const std::int64_t* position = nullptr;  ///< row i of x uses row position[i]; null: row i
};

/// (a, b) becomes (a cos − b sin, b cos + a sin) for every pair, for several sets of heads (q and k) at once.
void rotate(std::span<const RotaryRows> sets, std::int64_t rows, const RotaryTable& table, int threads = 0);

/// y += x on [rows, cols].
void add_rows(const float* x, std::int64_t ldx, float* y, std::int64_t ldy, std::int64_t rows, std::int64_t cols,
              int threads = 0);

/// The loops of this header for one instruction set, one row at a time.
struct RowKernels {
  void (*rms_norm)(const NormRows& io, std::int64_t row, const float* weight, float offset, float eps);
  void (*layer_norm)(const NormRows& io, std::int64_t row, const float* weight, const float* bias, float eps);
  /// y[j] = f(x[j]) · up[j] for n numbers; null `up`: no factor.
  void (*activate)(const float* x, const float* up, float* y, std::int64_t n, Activation f);
  void (*rotate)(float* x, std::int64_t heads, std::int64_t head, const float* cos, const float* sin, std::int64_t dim,
                 bool interleaved);
  void (*add)(const float* x, float* y, std::int64_t n);
  /// y = exp(x), correct to 2 units in the last place; x > 88.72 gives inf, below −103.97 zero. For tests.
  void (*exponential)(const float* x, float* y, std::int64_t n);
  const char* name;
};

/// Every set this processor runs, the plainest first; the last is the one in use.
const std::vector<RowKernels>& all_row_kernels();

}  // namespace weft::linalg
