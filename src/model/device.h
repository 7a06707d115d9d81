#pragma once

#include <c10/core/Device.h>

#include <string>

namespace weft::model {

/// `cpu`, `cuda`, `cuda:1`. Loads libtorch's CUDA half when asked for. @throws UsageError for other names; Error when
/// this libtorch or this machine has no such device.
c10::Device open_device(const std::string& name);

}  // namespace weft::model
