#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nn/network.h"
#include "weft/adapter/base.h"
#include "weft/adapter/pool.h"
#include "weft/nn/experts.h"

namespace weft::nn {

class LowerStates;

/// A dense update of one expert (DoRA on top of an init that altered the base).
struct DenseUpdate {
  std::int64_t expert = 0;
  Tensor weight;  ///< float32 [out, in]
};

/// The stacked experts of one module. Ranks and scales are small and read by plain loops; the tensors are on the
/// device of the base weight.
struct ModuleExperts {
  std::int64_t module = -1;          ///< in Experts::modules(); -1: no expert acts here
  int override = -1;                 ///< in Experts::Data::overrides; -1: no parameter of it is replaced
  std::vector<std::int64_t> starts;  ///< N + 1: expert e has the rows [starts[e], starts[e + 1]) of a and b
  std::vector<float> scales;         ///< N: alpha / r
  Tensor a;                          ///< [ΣR, in] (a view of the group's); of an embedding [rows, ΣR]
  Tensor b;                          ///< [ΣR, out]: an expert's rows are contiguous; undefined: no factors here
  Tensor column_expert;              ///< int64 [ΣR]
  Tensor column_scale;               ///< float32 [ΣR]
  Tensor bias;                       ///< float32 [N, out], scaled (`lora_bias`), or undefined
  Tensor base_factor;                ///< float32 [N, out]: DoRA's m / ‖W + ΔW‖ - 1, or undefined
  std::vector<DenseUpdate> dense;

  bool any() const { return module >= 0; }
  /// The base's product is rescaled or replaced.
  bool changes_base() const { return override >= 0 || base_factor.defined(); }
  std::int64_t rank_sum() const { return starts.empty() ? 0 : starts.back(); }
};

/// The stacked experts of linears that share their input.
struct GroupExperts {
  Tensor a;  ///< [ΣΣR, in]: the parts' a one after the other; undefined: no factors here
  std::vector<ModuleExperts> parts;
  bool any = false;
};

/// A parameter of the base that an expert replaces: a head, a bias, a norm, rows of a table.
struct Override {
  std::int64_t expert = 0;
  Tensor rows;   ///< int64, ascending: which rows of the table `value` holds, or undefined: all of it
  Tensor value;  ///< float32; a matrix [out, in] in the orientation of the map
};

/// The replaced parameters of one module.
struct ModuleOverrides {
  std::string module;
  std::int64_t index = -1;  ///< in Experts::modules()
  std::vector<Override> weight, bias;
};

struct Experts::Data {
  std::vector<std::string> names;
  std::vector<std::string> modules;
  std::vector<GroupExperts> groups;        ///< by LinearGroup::index
  std::vector<ModuleExperts> embeddings;   ///< by Embedding::index
  std::vector<ModuleOverrides> overrides;  ///< sorted by module
  std::int64_t bytes = 0;
  bool trainable = false;         ///< the factors are leaves whose gradients are wanted
  double dropout = 0.0;           ///< share of the numbers that an A reads which is dropped, in [0, 1)
  std::uint64_t dropout_key = 0;  ///< of this pass; a mask depends on it, the module and the place alone

  std::shared_ptr<LowerStates> lower;  ///< kept from pass to pass while an adapter is trained, or null

  /// Replaced parameters of a module, or nullptr.
  const ModuleOverrides* find(std::string_view module) const;
};

/**
 * Stacks the adapters of `pool` for `network`. Names match with and without the usual prefixes on either side. `base`:
 * the checkpoint, for adapters that were trained on an altered base (PiSSA, OLoRA, KaSA); null: these are refused.
 * @throws InputError naming the first module or tensor that is not in the model or has another shape, with both shapes;
 *         UnsupportedError for what cannot be attached.
 */
Experts stack_experts(const adapter::Pool& pool, Network& network, const adapter::BaseWeights* base, Log& log);

}  // namespace weft::nn
