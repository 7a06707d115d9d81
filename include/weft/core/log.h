#pragma once

#include <cstdint>
#include <string_view>

#include "weft/core/error.h"

namespace weft {

/// Where the library reports to; the default swallows everything. Calls may come from any thread, one at a time.
class WEFT_API Log {
 public:
  virtual ~Log() = default;
  /// Something worth knowing, one line.
  virtual void info(std::string_view) {}
  /// Something that matters for the result, one line.
  virtual void warning(std::string_view) {}
  /// `done` of `total` steps of `what` are finished; `now` is the current figure or item. Starts with done = 0.
  virtual void progress(std::string_view /*what*/, std::int64_t /*done*/, std::int64_t /*total*/,
                        std::string_view /*now*/) {}
};

/// A log that says nothing.
WEFT_API Log& silent_log();

}  // namespace weft
