#pragma once

#include <cstdint>

namespace weft {

/**
 * Like team_for (core/team.h), on a few threads of our own that wait for loops of a few dozen microseconds: one follows
 * the other while text is generated. The caller never waits for a thread that has not begun a task, so a busy machine
 * costs little; libtorch's own runtime waits for all of its threads, which then takes whole time slices. Waiting
 * threads spin for a moment and then sleep. Loops that stand between libtorch's operators are better run by team_for,
 * whose threads spin already. Inline inside any parallel loop and while another thread uses the crew. `work` must not
 * throw.
 */
void crew_for(std::int64_t count, int threads, void (*work)(void* context, std::int64_t task), void* context);

/// The same for a callable.
template <class Work>
void crew_for(std::int64_t count, int threads, Work& work) {
  crew_for(
      count, threads, [](void* context, std::int64_t task) { (*static_cast<Work*>(context))(task); }, &work);
}

}  // namespace weft
