#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft::data {

/**
 * Batches of indices whose lengths add up to at most `budget`; what is longer is alone. Longest first: memory runs out
 * at once or never, and the time that is left is not underestimated.
 */
std::vector<std::vector<size_t>> make_batches(const std::vector<std::int64_t>& lengths, std::int64_t budget);

}  // namespace weft::data
