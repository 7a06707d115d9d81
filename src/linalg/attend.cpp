#include "linalg/attend.h"

#include <algorithm>
#include <atomic>

#include "core/team.h"
#include "linalg/versions.h"

namespace weft::linalg {

namespace attend_loops {
#define WEFT_LOOPS "linalg/attend.inl"
#include "linalg/versions.inl"
#undef WEFT_LOOPS
}  // namespace attend_loops

const std::vector<AttendKernels>& all_attend_kernels() {
  static const std::vector<AttendKernels> sets = attend_loops::supported<AttendKernels>();
  return sets;
}

namespace {

const AttendKernels& chosen_attend_kernels() {
  static const AttendKernels& chosen = all_attend_kernels().back();
  return chosen;
}

/// Calls body(sequence, kv head, scratch) for all of them, each thread with scratch of its own.
template <class Body>
void over_heads(const AttendShape& shape, std::span<const AttendSequence> sequences, bool backward, int threads,
                const Body& body) {
  std::int64_t room = 0;
  for (const AttendSequence& sequence : sequences)
    room = std::max(room, chosen_attend_kernels().room(shape, sequence, backward));
  const std::int64_t tasks = static_cast<std::int64_t>(sequences.size()) * shape.kv_heads;
  const std::int64_t workers = std::min<std::int64_t>(tasks, team_size(threads));
  std::vector<float> scratch(static_cast<size_t>(workers * room));
  std::atomic<std::int64_t> next{0};
  auto work = [&](std::int64_t worker) {
    for (std::int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;)
      body(sequences[static_cast<size_t>(task / shape.kv_heads)], task % shape.kv_heads,
           scratch.data() + worker * room);
  };
  team_for(workers, threads, work);
}

}  // namespace

void attend(const AttendShape& shape, std::span<const AttendSequence> sequences, const AttendInputs& in, float* out,
            float* log_sum, int threads) {
  over_heads(shape, sequences, false, threads, [&](const AttendSequence& sequence, std::int64_t head, float* room) {
    chosen_attend_kernels().forward(shape, sequence, head, in, out, log_sum, room);
  });
}

void attend_gradient(const AttendShape& shape, std::span<const AttendSequence> sequences, const AttendInputs& in,
                     const AttendGradients& gradients, int threads) {
  over_heads(shape, sequences, true, threads, [&](const AttendSequence& sequence, std::int64_t head, float* room) {
    chosen_attend_kernels().backward(shape, sequence, head, in, gradients, room);
  });
}

}  // namespace weft::linalg
