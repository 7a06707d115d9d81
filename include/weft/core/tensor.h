#pragma once

#include <ATen/core/TensorBody.h>

namespace weft {

/// The one tensor type of the library: libtorch's shared handle. Shapes in comments are `[rows, columns]`.
using Tensor = at::Tensor;

}  // namespace weft
