#pragma once

#include <string>
#include <vector>

#include "weft/adapter/pool.h"

namespace weft::adapter {

/// What is worth saying of a pool as a whole; reads headers only, linear in the number of modules.
std::vector<std::string> pool_remarks(const Pool& pool);

}  // namespace weft::adapter
