#include "linalg/row_gradients.h"

#include <algorithm>

#include "core/team.h"
#include "linalg/versions.h"

namespace weft::linalg {

namespace gradient_loops {
#define WEFT_LOOPS "linalg/row_gradients.inl"
#include "linalg/versions.inl"
#undef WEFT_LOOPS
}  // namespace gradient_loops

const std::vector<GradientKernels>& all_gradient_kernels() {
  static const std::vector<GradientKernels> sets = gradient_loops::supported<GradientKernels>();
  return sets;
}

namespace {

const GradientKernels& chosen_gradient_kernels() {
  static const GradientKernels& chosen = all_gradient_kernels().back();
  return chosen;
}

/// Floats in one piece of work.
constexpr std::int64_t kGradientPiece = 1 << 14;

/// Calls body(first row, last row, piece) for all rows; how they are cut depends on the sizes alone.
template <class Body>
void over_pieces(std::int64_t rows, std::int64_t each, int threads, const Body& body) {
  auto piece = [&](std::int64_t task) { body(task * each, std::min(rows, (task + 1) * each), task); };
  team_for((rows + each - 1) / each, threads, piece);
}

std::int64_t rows_of_piece(std::int64_t cols) {
  return std::max<std::int64_t>(1, kGradientPiece / std::max<std::int64_t>(cols, 1));
}

/// Runs `row(i, d_weight, d_bias)`, with sums of a piece of rows each, added up in order.
template <class Row>
void over_norm_rows(const NormGradient& io, int threads, const Row& row) {
  std::int64_t each = rows_of_piece(io.cols);
  if (!io.d_weight && !io.d_bias)
    return over_pieces(io.rows, each, threads, [&](std::int64_t first, std::int64_t last, std::int64_t) {
      for (std::int64_t i = first; i < last; ++i) row(i, nullptr, nullptr);
    });
  constexpr std::int64_t kMostPieces = 32;  // sums of their own, however many rows there are
  each = std::max(each, (io.rows + kMostPieces - 1) / kMostPieces);
  const std::int64_t pieces = (io.rows + each - 1) / each;
  std::vector<float> sums(static_cast<size_t>(2 * pieces * io.cols), 0.0f);
  over_pieces(io.rows, each, threads, [&](std::int64_t first, std::int64_t last, std::int64_t piece) {
    float* d_weight = io.d_weight ? sums.data() + 2 * piece * io.cols : nullptr;
    float* d_bias = io.d_bias ? sums.data() + (2 * piece + 1) * io.cols : nullptr;
    for (std::int64_t i = first; i < last; ++i) row(i, d_weight, d_bias);
  });
  for (std::int64_t piece = 0; piece < pieces; ++piece)
    for (std::int64_t j = 0; j < io.cols; ++j) {
      if (io.d_weight) io.d_weight[j] += sums[static_cast<size_t>(2 * piece * io.cols + j)];
      if (io.d_bias) io.d_bias[j] += sums[static_cast<size_t>((2 * piece + 1) * io.cols + j)];
    }
}

}  // namespace

void rms_norm_gradient(const NormGradient& io, int threads) {
  const GradientKernels& loops = chosen_gradient_kernels();
  over_norm_rows(io, threads, [&](std::int64_t i, float* d_weight, float*) { loops.rms_norm(io, i, d_weight); });
}

void layer_norm_gradient(const NormGradient& io, int threads) {
  const GradientKernels& loops = chosen_gradient_kernels();
  over_norm_rows(io, threads,
                 [&](std::int64_t i, float* d_weight, float* d_bias) { loops.layer_norm(io, i, d_weight, d_bias); });
}

void activate_gradient(const ActivateGradient& io, Activation f, int threads) {
  const GradientKernels& loops = chosen_gradient_kernels();
  over_pieces(io.rows, rows_of_piece(io.cols), threads, [&](std::int64_t first, std::int64_t last, std::int64_t) {
    for (std::int64_t i = first; i < last; ++i)
      loops.activate(io.x + i * io.ldx, io.up ? io.up + i * io.ld_up : nullptr, io.dy + i * io.ldy,
                     io.dx + i * io.ld_dx, io.d_up ? io.d_up + i * io.ld_d_up : nullptr, io.cols, f);
  });
}

void likelihood(const LikelihoodRows& io, int threads) {
  const GradientKernels& loops = chosen_gradient_kernels();
  over_pieces(io.rows, rows_of_piece(io.cols), threads, [&](std::int64_t first, std::int64_t last, std::int64_t) {
    for (std::int64_t i = first; i < last; ++i) loops.likelihood(io, i);
  });
}

}  // namespace weft::linalg
