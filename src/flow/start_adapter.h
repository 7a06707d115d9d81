#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "weft/adapter/adapter.h"
#include "weft/adapter/pool.h"
#include "weft/core/log.h"
#include "weft/core/value.h"

namespace weft::flow {

/// A folder of its own for files that nobody keeps, removed with the object.
class ScratchFolder {
 public:
  /// @throws Error when none can be made.
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/**
 * What a training starts from, made of trained adapters: their weighted sum, truncated to a rank. One adapter with
 * weight 1 that needs no truncation is taken as it is, whatever its variant. Files behind adapter() live as long as
 * this.
 */
class StartAdapter {
 public:
  /**
   * @param weights one per source; empty: 1 each. `base`: for adapters whose deltas need it; may be empty.
   * @throws UsageError for another number of weights or a rank below 1; otherwise as compose().
   */
  StartAdapter(const std::vector<adapter::Pool::Source>& sources, const std::vector<double>& weights,
               const std::filesystem::path& base, std::int64_t rank, Log& log = silent_log());

  const adapter::Adapter& adapter() const { return adapters_.front(); }
  /// For `weft.json`: `adapters` (name, path, weight, SHA-256), and of a sum `rank` and the relative `error` of its
  /// truncation.
  const Value& record() const { return record_; }

 private:
  ScratchFolder scratch_;
  std::vector<adapter::Adapter> adapters_;  ///< one
  Value record_;
};

}  // namespace weft::flow
