#pragma once

#include <string>
#include <vector>

#include "adapter/peft_config.h"

namespace weft::adapter {

/**
 * The parameters of `target_parameters` that the pairs of one module belong to, by nesting depth: [0] is the pair
 * without `.base_layer`. PEFT wraps the parameters of a module in the order in which the model registers them, the
 * first one innermost; the files do not say that order. Well-known names are put in theirs (gate and up before down),
 * others in the config's order with `warning` filled in.
 * Empty when the module is not one whose parameters are targeted.
 * @throws InputError when the config cannot explain `depths` pairs.
 */
std::vector<std::string> expert_parameters(const PeftConfig& config, const std::string& module, int depths,
                                           std::string& warning);

}  // namespace weft::adapter
