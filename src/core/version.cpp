#include "weft/core/version.h"

#include <torch/version.h>

namespace weft {

std::string version() { return WEFT_VERSION; }

std::string build_type() { return WEFT_BUILD_TYPE; }

std::string torch_version() { return TORCH_VERSION; }

}  // namespace weft
