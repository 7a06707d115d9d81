#include "weft/core/parallel.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <exception>
#include <fstream>
#include <limits>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace weft {

namespace {

thread_local bool inside_worker = false;

/// Marks the calling thread as a worker for the scope: libtorch serial, nested loops inline.
class WorkerScope {
 public:
  WorkerScope() : was_inside_(inside_worker) { inside_worker = true; }
  ~WorkerScope() { inside_worker = was_inside_; }
  WorkerScope(const WorkerScope&) = delete;
  WorkerScope& operator=(const WorkerScope&) = delete;

 private:
  SerialTorch serial_;
  bool was_inside_;
};

/// Keeps the exception of the smallest index, so that which error is reported does not depend on timing.
class FirstError {
 public:
  void note(std::int64_t index) {
    const std::lock_guard lock(mutex_);
    if (index < index_) index_ = index, error_ = std::current_exception();
    stop_ = true;
  }
  bool stopped() const { return stop_; }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::int64_t index_ = std::numeric_limits<std::int64_t>::max();
  std::exception_ptr error_;
  std::atomic<bool> stop_{false};
};

/// One more thread that runs `body`; false when the system has none left.
bool start_thread(std::vector<std::thread>& others, const std::function<void()>& body) {
  try {
    others.emplace_back([&body] {
      at::set_num_threads(1);
      inside_worker = true;
      body();
    });
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

/// Runs `body` on the calling thread and on `threads - 1` others, or as many as the system grants.
void run_on_threads(int threads, const std::function<void()>& body) {
  const int restored = at::get_num_threads();
  std::vector<std::thread> others;
  others.reserve(static_cast<size_t>(threads));  // nothing may throw while threads are running
  while (static_cast<int>(others.size()) + 1 < threads && start_thread(others, body)) continue;
  {
    const WorkerScope scope;
    body();
  }
  for (std::thread& t : others) t.join();
  if (restored != at::get_num_threads()) at::set_num_threads(restored);
}

int worker_count(std::int64_t count, int threads) {
  const int wanted = threads > 0 ? threads : default_threads();
  return static_cast<int>(std::clamp<std::int64_t>(count, 1, wanted));
}

}  // namespace

SerialTorch::SerialTorch() : before_(at::get_num_threads()) {
  if (before_ != 1) at::set_num_threads(1);
}

SerialTorch::~SerialTorch() {
  if (before_ != 1) at::set_num_threads(before_);
}

int default_threads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t)>& work) {
  const int workers = worker_count(count, threads);
  if (inside_worker || workers == 1) {
    const WorkerScope scope;
    for (std::int64_t i = 0; i < count; ++i) work(i);
    return;
  }
  std::atomic<std::int64_t> next{0};
  FirstError error;
  run_on_threads(workers, [&] {
    for (std::int64_t i; !error.stopped() && (i = next++) < count;) {
      try {
        work(i);
      } catch (...) {
        error.note(i);
      }
    }
  });
  error.rethrow();
}

void ordered_pipeline(std::int64_t count, int threads, std::int64_t window,
                      const std::function<void(std::int64_t)>& work, const std::function<void(std::int64_t)>& take) {
  const int workers = worker_count(count, threads);
  if (inside_worker || workers == 1) {
    const WorkerScope scope;
    for (std::int64_t i = 0; i < count; ++i) work(i), take(i);
    return;
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<char> done(static_cast<size_t>(count), 0);
  std::int64_t next = 0, taken = 0;
  bool taking = false;
  FirstError error;
  window = std::max<std::int64_t>(window, 1);

  // Takes whatever is ready, in order; called and returns with the lock held.
  const auto drain = [&](std::unique_lock<std::mutex>& lock) {
    if (taking) return;
    taking = true;
    while (taken < count && done[static_cast<size_t>(taken)] && !error.stopped()) {
      const std::int64_t i = taken;
      lock.unlock();
      try {
        take(i);
      } catch (...) {
        error.note(i);
      }
      lock.lock();
      ++taken;
      changed.notify_all();
    }
    taking = false;
  };

  run_on_threads(workers, [&] {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return error.stopped() || next >= count || next < taken + window; });
      if (error.stopped() || next >= count) break;
      const std::int64_t i = next++;
      lock.unlock();
      try {
        work(i);
      } catch (...) {
        error.note(i);
      }
      lock.lock();
      done[static_cast<size_t>(i)] = 1;
      drain(lock);
      changed.notify_all();
    }
    changed.notify_all();
  });
  error.rethrow();
}

namespace {

std::int64_t number_in_file(const char* path) {
  std::ifstream in(path);
  std::int64_t value = -1;
  in >> value;
  return in ? value : -1;
}

std::int64_t available_by_meminfo() {
  std::ifstream in("/proc/meminfo");
  std::string key, unit;
  std::int64_t kib = 0;
  while (in >> key >> kib >> unit)
    if (key == "MemAvailable:") return kib * 1024;
  return std::int64_t{1} << 30;
}

}  // namespace

std::int64_t default_memory() {
  std::int64_t available = available_by_meminfo();
  const std::int64_t limit = number_in_file("/sys/fs/cgroup/memory.max");
  const std::int64_t used = number_in_file("/sys/fs/cgroup/memory.current");
  if (limit > 0 && used >= 0) available = std::min(available, std::max<std::int64_t>(limit - used, 0));
  return std::max<std::int64_t>(available / 2, std::int64_t{64} << 20);
}

std::int64_t parse_size(const std::string& text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit(end, text.data() + text.size());
  std::erase(unit, ' ');
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::tolower(c); });
  static const std::pair<const char*, double> kUnits[] = {
      {"", 1},       {"b", 1},      {"kb", 1e3},   {"mb", 1e6},     {"gb", 1e9},     {"tb", 1e12},    {"k", 0x1p10},
      {"m", 0x1p20}, {"g", 0x1p30}, {"t", 0x1p40}, {"kib", 0x1p10}, {"mib", 0x1p20}, {"gib", 0x1p30}, {"tib", 0x1p40}};
  if (code == std::errc())
    for (const auto& [name, factor] : kUnits)
      if (unit == name && value > 0 && value * factor < 9e18) return static_cast<std::int64_t>(value * factor);
  throw UsageError(fmt::format("'{}' is not a size; expected a number with a unit, such as 512MiB or 2GB", text));
}

std::string format_size(double bytes) {
  static const char* const kNames[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit < 4) bytes /= 1024, ++unit;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kNames[unit]);
}

}  // namespace weft
