#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "weft/core/error.h"

namespace weft {

/// Threads to use when an option says 0: the processors this process may run on.
WEFT_API int default_threads();

/// libtorch's own loops run on one thread inside the scope (of the calling thread; for OpenMP and MKL alike). Our loops
/// run several of them.
class WEFT_API SerialTorch {
 public:
  SerialTorch();
  ~SerialTorch();
  SerialTorch(const SerialTorch&) = delete;
  SerialTorch& operator=(const SerialTorch&) = delete;

 private:
  int before_;
};

/**
 * Calls `work(i)` for i in [0, count) on up to `threads` threads; libtorch's own threading is set to one inside, so a
 * result never depends on the number of threads. Nested calls run inline. The first exception stops the loop and is
 * rethrown.
 */
WEFT_API void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t)>& work);

/**
 * Like parallel_for, but `take(i)` is called for i = 0, 1, 2, … in order, one at a time, once work(i) has finished: a
 * pipeline with an ordered end. At most `window` items are in flight or waiting to be taken.
 */
WEFT_API void ordered_pipeline(std::int64_t count, int threads, std::int64_t window,
                               const std::function<void(std::int64_t)>& work,
                               const std::function<void(std::int64_t)>& take);

/// Half of the memory that is free now, in bytes (cgroup limits respected).
WEFT_API std::int64_t default_memory();

/// `512MiB`, `2GB`, `1048576` as bytes; UsageError when it is not a size.
WEFT_API std::int64_t parse_size(const std::string& text);
/// `1.4 MiB`.
WEFT_API std::string format_size(double bytes);

}  // namespace weft
