#include "merge/estimate.h"

#include <algorithm>

#include "linalg/random_svd.h"
#include "merge/rank.h"

namespace weft::merge {

ModuleCost module_cost(const MergeSpec& spec, const adapter::PoolModule& module, const Coefficients& c,
                       const adapter::Pool& pool, int threads) {
  const std::int64_t out =
      module.info.layer == adapter::LayerKind::kConv ? module.info.out / module.info.blocks : module.info.out;
  const std::int64_t in = module.info.in, blocks = module.info.blocks;
  std::int64_t largest = 0, stacked = 0;
  for (size_t i = 0; i < module.owners.size(); ++i) {
    const std::int64_t r =
        pool.adapters()[static_cast<size_t>(module.owners[i])].modules()[static_cast<size_t>(module.slots[i])].rank;
    const std::int64_t per_block =
        module.info.layer == adapter::LayerKind::kConv ? std::max<std::int64_t>(1, r / blocks) : r;
    largest = std::max(largest, per_block);
    stacked += per_block;
  }
  const std::int64_t wanted = wanted_rank(c.rank, largest, out, in);
  const std::int64_t smaller = std::min(out, in);
  ModuleCost cost;
  cost.flops = module.info.load_flops;
  cost.memory = module.info.load_memory;
  cost.entrywise = spec.space == Space::kDelta && (module.info.has_dense || !is_weighted_sum(spec, c));
  const std::int64_t full = cost.entrywise ? smaller : std::min(stacked, smaller);
  std::int64_t rank = wanted > 0 ? std::min(wanted, full) : full;
  if (spec.space == Space::kFactors) rank = std::min(rank, largest);
  cost.output_numbers = blocks * rank * (out + in);
  if (!cost.entrywise) {
    cost.flops +=
        6.0 * static_cast<double>(blocks) * static_cast<double>(out + in) * static_cast<double>(stacked * stacked);
    cost.memory += (out + in) * (rank + 2 * stacked) * 4 + stacked * stacked * 8 * 8;
    if (stacked >= smaller) cost.memory += out * in * 4 * 6;  // formed, see truncate_sum()
    return cost;
  }
  const double entries = static_cast<double>(out) * static_cast<double>(in) * static_cast<double>(blocks);
  cost.flops += entries * (4.0 * static_cast<double>(stacked) + 12.0 * static_cast<double>(rank + 8));
  if (wanted > 0)
    cost.memory += linalg::random_svd_memory(out, in, rank, threads) + (out + in) * stacked * 4;
  else {
    cost.memory += out * in * 4 * 6;
    cost.flops += entries * static_cast<double>(smaller) * 10.0;
  }
  if (module.info.has_dense) cost.memory += out * in * 4 * 2 * (1 + static_cast<std::int64_t>(module.owners.size()));
  return cost;
}

}  // namespace weft::merge
