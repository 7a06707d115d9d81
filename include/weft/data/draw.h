#pragma once

#include <cstdint>

#include "weft/core/error.h"
#include "weft/data/examples.h"

namespace weft::data {

/**
 * Draws few-shot examples: of labelled texts `count` per label, of all others `count` altogether, or as many as there
 * are where there are fewer. They keep their file order, and the names of all labels stay. The same seed draws the same
 * examples, and a larger count only adds to them.
 * @throws UsageError when `count` is below 1.
 */
WEFT_API Examples draw(const Examples& from, std::int64_t count, std::uint64_t seed);

}  // namespace weft::data
