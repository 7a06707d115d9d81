#pragma once

#include <string>
#include <utility>
#include <vector>

#include "weft/adapter/adapter.h"

namespace weft::adapter {

/// A module of the union of all members.
struct PoolModule {
  ModuleInfo info;  ///< shape and kind as all owners agree; `rank` is the largest, `scale` 1, `load_flops` the sum
  std::vector<int> owners;    ///< indices of the adapters that have it, ascending
  std::vector<int> slots;     ///< owners' own index of it in Adapter::modules()
  std::int64_t rank_sum = 0;  ///< Σ r over the owners
};

/// A full tensor of the union of all members.
struct PoolTensor {
  FullTensor info;
  std::vector<int> owners;
};

/// A named, ordered set of adapters of one base model. Opening reads headers only.
class WEFT_API Pool {
 public:
  /// One input: a path and, optionally, a name.
  struct Source {
    std::filesystem::path path;
    std::string name;
  };
  /**
   * Opens all adapters (in parallel) and names those without a name by the shortest path suffix that tells them apart.
   * @throws InputError naming every adapter that cannot be opened; UsageError on equal names.
   */
  static Pool open(const std::vector<Source>& sources);
  /// A pool of adapters already opened. @throws UsageError on equal names.
  explicit Pool(std::vector<Adapter> adapters);

  const std::vector<Adapter>& adapters() const { return adapters_; }
  size_t size() const { return adapters_.size(); }
  /// Union of modules, natural order. Computed by check_compatible().
  const std::vector<PoolModule>& modules() const { return modules_; }
  const std::vector<PoolTensor>& full_tensors() const { return full_tensors_; }
  /// Remarks about the pool as a whole (mixed variants, different fan_in_fan_out, different base names, no module in
  /// common).
  const std::vector<std::string>& warnings() const { return warnings_; }
  /// Every reason why the members do not fit one base model (shape, kind, kernel, blocks of a module differ), empty if
  /// they do.
  const std::vector<std::string>& misfits() const { return misfits_; }
  /// @throws InputError listing all misfits, each with module, adapters and shapes.
  void check_compatible() const;

 private:
  void survey();
  std::vector<Adapter> adapters_;
  std::vector<PoolModule> modules_;
  std::vector<PoolTensor> full_tensors_;
  std::vector<std::string> warnings_, misfits_;
};

}  // namespace weft::adapter
