#pragma once

#include <cstdint>

namespace weft {

/**
 * Calls `work(context, task)` for task in [0, count) on libtorch's own threads, which keep spinning for a while after a
 * loop: entering costs one or two microseconds, so it suits loops of a few dozen microseconds that follow libtorch's
 * operators. Threads of our own would fight with those for the processors. `threads` 0 means at::get_num_threads(),
 * 1 inline; never more than at::get_num_threads(). Inline inside any parallel loop. `work` must not throw.
 */
void team_for(std::int64_t count, int threads, void (*work)(void* context, std::int64_t task), void* context);

/// The same for a callable.
template <class Work>
void team_for(std::int64_t count, int threads, Work& work) {
  team_for(
      count, threads, [](void* context, std::int64_t task) { (*static_cast<Work*>(context))(task); }, &work);
}

/// Threads that team_for would use for plenty of tasks.
int team_size(int threads);

}  // namespace weft
