#include "linalg/row_ops.h"

#include <algorithm>

#include "core/team.h"
#include "linalg/versions.h"

namespace weft::linalg {

namespace row_loops {
#define WEFT_LOOPS "linalg/row_ops.inl"
#include "linalg/versions.inl"
#undef WEFT_LOOPS
}  // namespace row_loops

const std::vector<RowKernels>& all_row_kernels() {
  static const std::vector<RowKernels> sets = row_loops::supported<RowKernels>();
  return sets;
}

namespace {

const RowKernels& chosen_row_kernels() {
  static const RowKernels& chosen = all_row_kernels().back();
  return chosen;
}

/// Floats in one piece of work: a few microseconds, well above the cost of sharing.
constexpr std::int64_t kRowPiece = 1 << 15;

/// Calls body(row, first column, columns) for all of [rows, cols], in pieces; columns are cut only in single long rows.
template <class Body>
void over_rows(std::int64_t rows, std::int64_t cols, bool cut_columns, int threads, const Body& body) {
  const std::int64_t stretch = cut_columns ? std::min(cols, kRowPiece) : cols;
  const std::int64_t across = stretch > 0 ? (cols + stretch - 1) / stretch : 0;
  const std::int64_t each = std::max<std::int64_t>(1, kRowPiece / std::max<std::int64_t>(cols, 1));
  auto piece = [&](std::int64_t task) {
    const std::int64_t j = task % across * stretch, n = std::min(stretch, cols - j), i0 = task / across * each;
    for (std::int64_t i = i0; i < std::min(rows, i0 + each); ++i) body(i, j, n);
  };
  team_for((rows + each - 1) / each * across, rows * cols < kRowPiece ? 1 : threads, piece);
}

}  // namespace

void rms_norm(const NormRows& io, const float* weight, float offset, float eps, int threads) {
  const RowKernels& loops = chosen_row_kernels();
  over_rows(io.rows, io.cols, false, threads,
            [&](std::int64_t i, std::int64_t, std::int64_t) { loops.rms_norm(io, i, weight, offset, eps); });
}

void layer_norm(const NormRows& io, const float* weight, const float* bias, float eps, int threads) {
  const RowKernels& loops = chosen_row_kernels();
  over_rows(io.rows, io.cols, false, threads,
            [&](std::int64_t i, std::int64_t, std::int64_t) { loops.layer_norm(io, i, weight, bias, eps); });
}

void activate(const ActivateRows& io, Activation f, int threads) {
  const RowKernels& loops = chosen_row_kernels();
  over_rows(io.rows, io.cols, true, threads, [&](std::int64_t i, std::int64_t j, std::int64_t n) {
    const float* up = io.up ? io.up + i * io.ld_up + j : nullptr;
    loops.activate(io.x + i * io.ldx + j, up, io.y + i * io.ldy + j, n, f);
  });
}

void rotate(std::span<const RotaryRows> sets, std::int64_t rows, const RotaryTable& table, int threads) {
  const RowKernels& loops = chosen_row_kernels();
  std::int64_t floats = 0;
  for (const RotaryRows& set : sets) floats += set.heads * table.dim;
  over_rows(rows, floats, false, threads, [&](std::int64_t i, std::int64_t, std::int64_t) {
    const std::int64_t at = (table.position ? table.position[i] : i) * table.ld;
    for (const RotaryRows& set : sets)
      loops.rotate(set.x + i * set.ldx, set.heads, set.head, table.cos + at, table.sin + at, table.dim,
                   table.interleaved);
  });
}

void add_rows(const float* x, std::int64_t ldx, float* y, std::int64_t ldy, std::int64_t rows, std::int64_t cols,
              int threads) {
  const RowKernels& loops = chosen_row_kernels();
  over_rows(rows, cols, true, threads,
            [&](std::int64_t i, std::int64_t j, std::int64_t n) { loops.add(x + i * ldx + j, y + i * ldy + j, n); });
}

}  // namespace weft::linalg
