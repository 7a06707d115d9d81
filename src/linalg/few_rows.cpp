#include "linalg/few_rows.h"

#include <algorithm>

#include "core/crew.h"
#include "core/team.h"
#include "linalg/versions.h"

namespace weft::linalg {

namespace few_rows_loops {
#define WEFT_LOOPS "linalg/few_rows.inl"
#include "linalg/versions.inl"
#undef WEFT_LOOPS
}  // namespace few_rows_loops

const std::vector<FewRowsKernels>& all_few_rows_kernels() {
  static const std::vector<FewRowsKernels> sets = few_rows_loops::supported<FewRowsKernels>();
  return sets;
}

namespace {

const FewRowsKernels& chosen_few_rows_kernels() {
  static const FewRowsKernels& chosen = all_few_rows_kernels().back();
  return chosen;
}

/// Less work than this is done before other threads have woken up, in bytes of weights or multiplications.
constexpr std::int64_t kFewRowsWorthSharing = 1 << 16;
/// Up to here the calls follow one another without products of libtorch between them.
constexpr std::int64_t kCrewRows = 16;
/// What one thread takes at a time: large enough to stream, small enough to even out.
constexpr std::int64_t kFewRowsPiece = 1 << 17;

/// How a part is cut: `pieces` ranges of `step` outputs.
struct FewRowsCut {
  const FewRowsPart* part;
  const float* x;
  std::int64_t in, ldx, step, pieces;
};

FewRowsCut cut_part(const FewRowsPart& part, const float* x, std::int64_t m, std::int64_t in, std::int64_t ldx,
                    int threads) {
  FewRowsCut cut{&part, part.x ? part.x : x, part.x ? part.in : in, part.x ? part.ldx : ldx, 0, 0};
  const std::int64_t cost = std::max<std::int64_t>(cut.in * std::max(stored_size(part.type), m / 2), 1);
  std::int64_t pieces = std::clamp<std::int64_t>(part.out * cost / kFewRowsPiece, threads, 16 * threads);
  // Stored [in, out] the pieces are columns, and short stretches of a row are read slowly.
  if (part.transposed) pieces = std::min<std::int64_t>(pieces, std::max<std::int64_t>(threads, part.out / 1024));
  cut.step = std::max<std::int64_t>((part.out + pieces - 1) / pieces, 1);
  const std::int64_t unit = part.transposed ? 64 : 8;
  cut.step = (cut.step + unit - 1) / unit * unit;
  cut.pieces = (part.out + cut.step - 1) / cut.step;
  return cut;
}

}  // namespace

void few_rows(const float* x, std::int64_t m, std::int64_t in, std::int64_t ldx, std::span<const FewRowsPart> parts,
              int threads) {
  const FewRowsKernels& loops = chosen_few_rows_kernels();
  std::int64_t work = 0;
  for (const FewRowsPart& part : parts)
    work += part.out * (part.x ? part.in : in) * std::max(stored_size(part.type), m / 2);
  const int team = work < kFewRowsWorthSharing ? 1 : team_size(threads);
  if (team == 1) {
    for (const FewRowsPart& p : parts) loops.rows(p, p.x ? p.x : x, m, p.x ? p.in : in, p.x ? p.ldx : ldx, 0, p.out);
    return;
  }
  constexpr size_t kMost = 16;  // parts in one loop; longer lists take several
  FewRowsCut cuts[kMost];
  for (size_t done = 0; done < parts.size(); done += kMost) {
    const size_t count = std::min(kMost, parts.size() - done);
    std::int64_t tasks = 0;
    for (size_t p = 0; p < count; ++p) {
      cuts[p] = cut_part(parts[done + p], x, m, in, ldx, team);
      tasks += cuts[p].pieces;
    }
    auto piece = [&](std::int64_t task) {
      const FewRowsCut* cut = cuts;
      while (task >= cut->pieces) task -= (cut++)->pieces;
      const std::int64_t first = task * cut->step;
      loops.rows(*cut->part, cut->x, m, cut->in, cut->ldx, first, std::min(first + cut->step, cut->part->out));
    };
    if (m <= kCrewRows)
      crew_for(tasks, team, piece);
    else
      team_for(tasks, team, piece);
  }
}

void widen(const void* from, Stored type, std::int64_t rows, std::int64_t cols, std::int64_t ld_from, float* to,
           std::int64_t ld_to, int threads) {
  const FewRowsKernels& loops = chosen_few_rows_kernels();
  const char* bytes = static_cast<const char*>(from);
  if (ld_from == cols && ld_to == cols) {  // one long row, cut evenly
    cols *= rows;
    rows = 1;
  }
  const std::int64_t stretch = std::min<std::int64_t>(std::max<std::int64_t>(cols, 1), 1 << 16);
  const std::int64_t each = std::max<std::int64_t>(1, (1 << 16) / std::max<std::int64_t>(cols, 1));
  const std::int64_t across = (cols + stretch - 1) / stretch, down = (rows + each - 1) / each;
  auto piece = [&](std::int64_t task) {
    const std::int64_t j = task % across * stretch, n = std::min(stretch, cols - j), i0 = task / across * each;
    for (std::int64_t i = i0; i < std::min(rows, i0 + each); ++i)
      loops.widen(bytes + stored_size(type) * (i * ld_from + j), type, n, to + i * ld_to + j);
  };
  team_for(across * down, threads, piece);
}

}  // namespace weft::linalg
