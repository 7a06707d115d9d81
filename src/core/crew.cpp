#include "core/crew.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "core/team.h"

namespace weft {

namespace {

using CrewWork = void (*)(void* context, std::int64_t task);

constexpr auto kCrewSpin = std::chrono::microseconds(100);  // longer than what lies between two loops of a token
constexpr std::uint32_t kCrewClosed = UINT32_MAX;

void crew_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// The loop at hand, and the threads that wait for one.
class Crew {
 public:
  /// False when another thread is using it.
  bool try_run(std::int64_t count, int size, CrewWork work, void* context) {
    if (in_use_.exchange(true, std::memory_order_acquire)) return false;
    grow(size - 1);
    publish(count, size - 1, work, context);
    for (std::uint32_t task; (task = static_cast<std::uint32_t>(ticket_.fetch_add(1))) < count;) {
      work(context, task);
      finished_.fetch_add(1, std::memory_order_release);
    }
    // Only tasks that some thread has begun are waited for.
    for (int spins = 0; finished_.load(std::memory_order_acquire) < count; ++spins)
      if (spins < 1000) {
        crew_pause();
      } else {
        sched_yield();
      }
    in_use_.store(false, std::memory_order_release);
    return true;
  }

 private:
  void grow(int helpers) {
    for (; grown_ < helpers; ++grown_) {
      try {
        std::thread([this, index = grown_] { serve(index); }).detach();
      } catch (const std::system_error&) {
        return;  // the system has no more: the caller does what they would have done
      }
    }
  }

  /// A ticket is the number of the loop and, below, its next task. It is closed while the loop is being exchanged, so
  /// that nobody takes a task of one loop for that of another.
  void publish(std::int64_t count, int helpers, CrewWork work, void* context) {
    const std::uint64_t loop = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
    ticket_.store(loop << 32 | kCrewClosed);
    finished_.store(0, std::memory_order_release);
    count_.store(count, std::memory_order_release);
    helpers_.store(helpers, std::memory_order_release);
    work_.store(work, std::memory_order_release);
    context_.store(context, std::memory_order_release);
    ticket_.store(loop << 32);
    if (sleeping_.load() == 0) return;
    { const std::lock_guard lock(mutex_); }
    wake_.notify_all();
  }

  bool has_task(std::uint64_t ticket, int index) const {
    const std::uint32_t next = static_cast<std::uint32_t>(ticket);
    return next != kCrewClosed && index < helpers_.load(std::memory_order_acquire) &&
           next < count_.load(std::memory_order_acquire);
  }

  [[noreturn]] void serve(int index) {
    auto idle_since = std::chrono::steady_clock::now();
    for (int spins = 1;; ++spins) {
      std::uint64_t ticket = ticket_.load();
      if (has_task(ticket, index)) {
        const CrewWork work = work_.load(std::memory_order_acquire);
        void* const context = context_.load(std::memory_order_acquire);
        if (!ticket_.compare_exchange_strong(ticket, ticket + 1)) continue;
        work(context, static_cast<std::uint32_t>(ticket));
        finished_.fetch_add(1, std::memory_order_release);
        idle_since = std::chrono::steady_clock::now();
        continue;
      }
      crew_pause();
      if (spins % 64 != 0 || std::chrono::steady_clock::now() - idle_since < kCrewSpin) continue;
      sleep(index);
      idle_since = std::chrono::steady_clock::now();
    }
  }

  void sleep(int index) {
    std::unique_lock lock(mutex_);
    ++sleeping_;
    wake_.wait(lock, [&] { return has_task(ticket_.load(), index); });
    --sleeping_;
  }

  alignas(64) std::atomic<std::uint64_t> ticket_{kCrewClosed};
  alignas(64) std::atomic<std::int64_t> finished_{0};
  alignas(64) std::atomic<std::int64_t> count_{0};
  std::atomic<int> helpers_{0};
  std::atomic<CrewWork> work_{nullptr};
  std::atomic<void*> context_{nullptr};
  alignas(64) std::atomic<bool> in_use_{false};
  std::atomic<int> sleeping_{0};
  int grown_ = 0;  // of the thread that has the crew in use
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace

void crew_for(std::int64_t count, int threads, CrewWork work, void* context) {
  const int size =
      count > 1 && count < kCrewClosed ? static_cast<int>(std::min<std::int64_t>(team_size(threads), count)) : 1;
  // Never destroyed: its threads live as long as the process.
  static Crew* const crew = new Crew;
  if (size > 1 && crew->try_run(count, size, work, context)) return;
  for (std::int64_t task = 0; task < count; ++task) work(context, task);
}

}  // namespace weft
