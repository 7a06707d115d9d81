#pragma once

#include "nn/modules.h"

namespace weft::nn {

/// The norm of every row of x from libtorch's operators, differentiable.
Tensor norm_of_operators(const Norm& norm, const Tensor& x);
/// The same by our own kernels, float32 on a CPU, without gradients.
Tensor norm_of_rows(const Norm& norm, const Tensor& x, int threads);
/// The norm by whichever of these suits x and the weight.
Tensor norm_of_any(const Norm& norm, const Tensor& x, int threads);

}  // namespace weft::nn
