#pragma once

#include <string>
#include <string_view>

#include "io/tensor_file.h"
#include "weft/core/tensor.h"

namespace weft::adapter {

/// Loads a tensor of `what` (for the message). @throws InputError naming file, tensor and position of the first NaN or
/// Inf.
Tensor load_finite(const io::TensorFile& file, const std::string& key, std::string_view what = "adapter");

}  // namespace weft::adapter
