#pragma once

#include <string>
#include <vector>

#include "weft/adapter/adapter.h"

namespace weft::adapter {

/// The names PEFT gives to the tensors of one module.
struct WrittenKeys {
  std::string a, b, bias;
};

/// Keys under `path`, the module's place in the wrapped model.
WrittenKeys written_keys(LayerKind layer, const std::string& path);

/**
 * All expert parameters of the inputs, those of one module in the order in which the inputs nest them (innermost
 * first): the order in which `target_parameters` must list them to be read back.
 */
std::vector<std::string> expert_order(const std::vector<Adapter>& inputs);

/**
 * The place of each module in a model that PEFT has wrapped, without `base_model.model.`: the module's own name, and
 * for expert parameters `K`, `K.base_layer`, …: which parameter of K a pair belongs to is stored only as its depth.
 */
std::vector<std::string> wrapped_paths(const std::vector<ModuleInfo>& modules, const std::vector<std::string>& order);

/// One module as PEFT stores it.
struct ModuleLayout {
  Tensor a, b, bias;      ///< in the output dtype; `bias` may be undefined
  std::int64_t rank = 0;  ///< PEFT's r of this module (of one expert; of all groups together)
};

/**
 * Folds the scales in, pads the blocks to one rank (at least 1), puts them into PEFT's shapes and rounds once to
 * `dtype`.
 * @throws UsageError when the blocks do not have the module's shape; InputError on values that are not finite or do not
 *         fit the dtype.
 */
ModuleLayout lay_out(const ModuleInfo& module, const std::vector<LowRank>& blocks, const Tensor& bias,
                     c10::ScalarType dtype);

/// `tensor` in `dtype`, contiguous, on the CPU. `what` names it. @throws InputError as lay_out does.
Tensor cast_checked(const Tensor& tensor, c10::ScalarType dtype, const std::string& what);

}  // namespace weft::adapter
