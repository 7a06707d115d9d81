#pragma once

#include <vector>

#include "nn/modules.h"
#include "nn/run.h"

namespace weft::nn {

/// y_i = x · W_iᵀ + bias_i + what the experts add, for every part of the group. x [tokens, in] float32 -> [tokens,
/// out_i]. Without gradients and with few tokens our own kernels read the weights in their stored dtype; otherwise
/// libtorch's products, on widened weights.
std::vector<Tensor> apply(const LinearGroup& group, const Tensor& x, const Run& run);
/// The only part of a group of one.
Tensor apply_one(const LinearGroup& group, const Tensor& x, const Run& run);
/// Rows `ids` [tokens] of the table, float32 [tokens, width], with what the experts add.
Tensor look_up(const Embedding& table, const Tensor& ids, const Run& run);
/// The norm of every row of x, float32.
Tensor normalize(const Norm& norm, const Tensor& x, const Run& run);
/// Elementwise activation.
Tensor activate(Activation activation, const Tensor& x);
/// act(gate) · up, both [tokens, width].
Tensor activate_gate(Activation activation, const Tensor& gate, const Tensor& up);
/// act(left half) · right half of every row of `both` [tokens, 2 · width].
Tensor activate_halves(Activation activation, const Tensor& both);

}  // namespace weft::nn
