#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft::text {

/// The merges of a BPE vocabulary: pairs of ids, their rank and what they become.
class MergeTable {
 public:
  struct Merge {
    std::int32_t rank = 0, id = 0;
  };

  void reserve(size_t merges);
  /// A later merge of the same pair replaces an earlier one.
  void add(std::int32_t left, std::int32_t right, Merge merge);
  /// Null when the pair does not merge.
  const Merge* find(std::int32_t left, std::int32_t right) const {
    if (slots_.empty()) return nullptr;
    const std::uint64_t wanted = key(left, right);
    for (size_t at = start(wanted);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].key == wanted) return &slots_[at].merge;
      if (slots_[at].key == kFree) return nullptr;
    }
  }

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kFree;
    Merge merge;
  };
  static std::uint64_t key(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U | static_cast<std::uint32_t>(right);
  }
  size_t start(std::uint64_t key) const { return (key * 0x9E3779B97F4A7C15U) >> shift_; }

  std::vector<Slot> slots_;
  unsigned shift_ = 0;
};

}  // namespace weft::text
