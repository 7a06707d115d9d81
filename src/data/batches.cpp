#include "data/batches.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace weft::data {

std::vector<std::vector<size_t>> make_batches(const std::vector<std::int64_t>& lengths, std::int64_t budget) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::vector<size_t>> out;
  std::int64_t used = 0;
  for (const size_t index : order) {
    if (out.empty() || used + lengths[index] > budget) {
      out.emplace_back();
      used = 0;
    }
    out.back().push_back(index);
    used += lengths[index];
  }
  return out;
}

}  // namespace weft::data
