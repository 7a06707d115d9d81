#pragma once

#include <string>

#include "io/tensor_file.h"
#include "weft/core/tensor.h"

namespace weft::adapter {

/// Loads a tensor. @throws InputError naming file, tensor and position of the first NaN or Inf.
Tensor load_finite(const io::TensorFile& file, const std::string& key);

}  // namespace weft::adapter
