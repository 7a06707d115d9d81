#pragma once

#include "nn/network.h"
#include "nn/run.h"

namespace weft::nn {

/// −log P(target) of every row of states [rows, width], float32 [rows]; `targets` int64 [rows]. Where nothing acts on
/// the head, all logits are never there at once.
Tensor likelihood_of_states(const Network& network, const Tensor& states, const Tensor& targets, const Run& run);

}  // namespace weft::nn
