#pragma once

#include "nn/modules.h"

namespace weft::nn {

/// The norm of every row of x from libtorch's operators, differentiable.
Tensor norm_of_operators(const Norm& norm, const Tensor& x);

}  // namespace weft::nn
