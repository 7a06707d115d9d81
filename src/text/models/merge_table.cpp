#include "text/models/merge_table.h"

namespace weft::text {

void MergeTable::reserve(size_t merges) {
  size_t slots = 16;
  shift_ = 60;
  for (; slots < 2 * merges; slots *= 2) --shift_;
  slots_.assign(slots, Slot{});
}

void MergeTable::add(std::int32_t left, std::int32_t right, Merge merge) {
  const std::uint64_t wanted = key(left, right);
  size_t at = start(wanted);
  while (slots_[at].key != kFree && slots_[at].key != wanted) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {wanted, merge};
}

}  // namespace weft::text
