#pragma once

#include <functional>
#include <vector>

#include "merge/spaces.h"

namespace weft::merge {

/**
 * What `merge` makes of one block, refused when it left the range of float32.
 * @throws InputError naming module, adapter and scale when an update is too large; UsageError when its weight is.
 */
linalg::Factored merge_in_range(const std::vector<Part>& parts, const BlockContext& context,
                                const std::function<linalg::Factored()>& merge);

}  // namespace weft::merge
