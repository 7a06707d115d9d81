#pragma once

#include <cstdint>

#include "merge/coefficients.h"
#include "weft/adapter/pool.h"
#include "weft/merge/spec.h"

namespace weft::merge {

/// What one module takes; rough, from shapes alone.
struct ModuleCost {
  double flops = 0.0;
  std::int64_t memory = 0;  ///< working memory that is always needed, for one thread's worth of a module
  std::int64_t output_numbers = 0;
  bool entrywise = false;  ///< streams the whole out x in matrix
};

ModuleCost module_cost(const MergeSpec& spec, const adapter::PoolModule& module, const Coefficients& c,
                       const adapter::Pool& pool, int threads);

/// Entrywise modules of at least this many entries are worked on by all threads together, smaller ones side by side.
inline constexpr std::int64_t kWideModule = std::int64_t{1} << 21;

}  // namespace weft::merge
