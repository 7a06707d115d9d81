#pragma once

#include <map>
#include <string>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/merge/spec.h"

namespace weft::merge {

/// What one adapter brings to one module: its options there, normalised.
struct Share {
  int adapter = 0;       ///< index in the pool
  double weight = 1.0;   ///< after normalize
  double density = 1.0;  ///< 1 when nothing is sparsified
};

/// All numbers that a module's merge needs.
struct Coefficients {
  std::vector<Share> shares;  ///< one per owner, in pool order
  double factor = 1.0;        ///< multiplies the result: lambda, and the divisor of a mean without consensus
  RankRule rank;
};

/// Finds a module's place in its stack: the first numeric component of its name counts the layers.
class LayerMap {
 public:
  explicit LayerMap(const std::vector<adapter::PoolModule>& modules);
  LayerMap() = default;
  ModulePosition locate(const std::string& module) const;

 private:
  std::map<std::string, int> layers_;  // text before the number -> number of layers
};

/**
 * The options at one module. `owners` are pool indices, `adapters` the size of the pool.
 * @throws UsageError when the weights to normalise by sum to about zero.
 */
Coefficients coefficients_at(const MergeSpec& spec, const ModulePosition& at, const std::vector<int>& owners,
                             size_t adapters);

/// The weight of one adapter at a place, before any normalisation.
double raw_weight(const MergeSpec& spec, size_t adapter, const ModulePosition& at);

/// True if no entry is dropped and no sign elected at this module, so that the result is a weighted sum.
bool is_weighted_sum(const MergeSpec& spec, const Coefficients& c);

/// The weights of that sum, one per share, everything (lambda, divisors) included.
std::vector<double> sum_weights(const MergeSpec& spec, const Coefficients& c);

}  // namespace weft::merge
