#pragma once

#include <string>

#include "weft/core/error.h"

namespace weft {

/// Weft's version, e.g. `0.1.0`.
WEFT_API std::string version();

/// How Weft was built: the CMake preset (`dev`, `release`, …), else CMake's build type in lower case.
WEFT_API std::string build_type();

/// The version of libtorch that Weft was compiled against, e.g. `2.13.0`.
WEFT_API std::string torch_version();

}  // namespace weft
