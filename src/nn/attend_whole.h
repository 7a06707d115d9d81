#pragma once

#include <vector>

#include "nn/forward.h"
#include "nn/modules.h"
#include "nn/run.h"

namespace weft::nn {

// Attention of whole sequences of any lengths by our own kernels, with gradients. `sources`: queries, keys and values
// [tokens, heads · head_dim] each, or one tensor that holds them in the attention's layout.

/// True if these kernels are to be used: nothing is cached, and libtorch's would go sequence by sequence or keep more
/// for the gradient.
bool attends_whole(const std::vector<Tensor>& sources, const Run& run);
/// True if T5's table of biases is trained: its gradient comes from operators.
bool bias_is_trained(const Attention& a, const StackState& state);
/// Every sequence over itself; rotates.
Tensor attend_whole(const Attention& a, const StackState& state, const std::vector<Tensor>& sources, const Run& run);
/// Every sequence of the run over one of `keys`.
Tensor attend_across(const Attention& a, const std::vector<Tensor>& sources, const Layout& keys, const Run& run);

}  // namespace weft::nn
