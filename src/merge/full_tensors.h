#pragma once

#include <string>
#include <vector>

#include "merge/coefficients.h"
#include "weft/adapter/pool.h"
#include "weft/adapter/writer.h"
#include "weft/merge/spec.h"

namespace weft::merge {

/// What becomes of one full tensor (a head, a bias, token rows).
struct FullDecision {
  const adapter::PoolTensor* tensor = nullptr;
  std::vector<int> from;  ///< owners to take it from: one is carried whole, several are averaged, none drops it
};

/**
 * Decides every full tensor of the pool: one owner with weight 1 is carried whole, otherwise `full_tensors` says.
 * @throws UnsupportedError listing what cannot be decided and the way out.
 */
std::vector<FullDecision> decide_full_tensors(const adapter::Pool& pool, const MergeSpec& spec, const LayerMap& layers,
                                              std::vector<std::string>& warnings);

/// Writes what was decided.
void write_full_tensors(const adapter::Pool& pool, const std::vector<FullDecision>& decisions,
                        adapter::AdapterWriter& out);

}  // namespace weft::merge
