#include "core/team.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>

namespace weft {

namespace {

/// Enters a parallel region of the OpenMP runtime: `body(data)` on each of `threads` threads.
using EnterTeam = void (*)(void (*body)(void*), void* data, unsigned threads, unsigned flags);

/// The entry of the runtime that libtorch loaded, whichever that is (the GNU, LLVM and Intel ones all have it); null
/// where libtorch was built without. Asked for by name: linking a runtime of our compiler's could bring in a second.
EnterTeam enter_team() {
  static const EnterTeam entry = reinterpret_cast<EnterTeam>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  return entry;
}

struct TeamLoop {
  std::int64_t count, size;
  void (*work)(void* context, std::int64_t task);
  void* context;
  std::atomic<std::int64_t> joined{0};
  alignas(64) std::atomic<std::int64_t> next{0};
};

void take_tasks(void* data) {
  TeamLoop& loop = *static_cast<TeamLoop*>(data);
  if (loop.joined.fetch_add(1, std::memory_order_relaxed) >= loop.size) return;
  for (std::int64_t task; (task = loop.next.fetch_add(1, std::memory_order_relaxed)) < loop.count;)
    loop.work(loop.context, task);
}

}  // namespace

int team_size(int threads) {
  if (threads == 1 || at::in_parallel_region() || !enter_team()) return 1;
  const int most = at::get_num_threads();
  return threads > 0 ? std::min(threads, most) : most;
}

void team_for(std::int64_t count, int threads, void (*work)(void* context, std::int64_t task), void* context) {
  const std::int64_t size = count > 1 ? std::min<std::int64_t>(team_size(threads), count) : 1;
  if (size <= 1) {
    for (std::int64_t task = 0; task < count; ++task) work(context, task);
    return;
  }
  TeamLoop loop{count, size, work, context};
  // The whole team is woken even where fewer are wanted: the runtime ends threads that a smaller team leaves out and
  // starts them again for the next one.
  enter_team()(take_tasks, &loop, static_cast<unsigned>(at::get_num_threads()), 0);
}

}  // namespace weft
