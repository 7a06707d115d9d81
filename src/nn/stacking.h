#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/expert_data.h"
#include "nn/sites.h"
#include "weft/adapter/adapter.h"

namespace weft::nn {

/// One adapter's update of a place.
struct Placed {
  std::int64_t expert = 0;
  const adapter::ModuleInfo* info = nullptr;
};

/// A tensor of an adapter that replaces a parameter of a place.
struct Replacement {
  std::int64_t expert = 0;
  const adapter::FullTensor* info = nullptr;
  bool bias = false;
  bool shared = false;  ///< rows of the input embedding, used by the tied head
};

/// What a pool does to a network, by the index of the place in Sites.
struct Placement {
  std::vector<std::vector<Placed>> updates;
  std::vector<std::vector<Replacement>> replacements;
};

/// Finds the place of everything in the pool. @throws InputError / UnsupportedError as stack_experts().
Placement place_adapters(const std::vector<adapter::Adapter>& adapters, const Sites& sites, const Network& network,
                         Log& log);

/// Stacks the factors of a group's parts; `updates` has one list per part. Sets everything but module and override.
GroupExperts stack_group(const std::vector<adapter::Adapter>& adapters, const LinearGroup& group,
                         const std::vector<const std::vector<Placed>*>& updates);
/// The same for a table.
ModuleExperts stack_embedding(const std::vector<adapter::Adapter>& adapters, const Embedding& table,
                              const std::vector<Placed>& updates);
/// Reads the replacements of a place. Those equal to the base's own are left out.
ModuleOverrides stack_overrides(const std::vector<adapter::Adapter>& adapters, const Site& site,
                                const std::vector<Replacement>& replacements);

}  // namespace weft::nn
