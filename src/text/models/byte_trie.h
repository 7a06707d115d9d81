#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace weft::text {

/**
 * Texts and their ids as a tree over bytes, kept in one hash table of (node, byte): quick to build, one probe a byte to
 * walk. Node 0 is the root.
 */
class ByteTrie {
 public:
  using Node = std::uint32_t;
  static constexpr Node kNone = 0xFFFFFFFF;

  ByteTrie() : values_(1, -1) { slots_.resize(1024); }

  /// Adds a text; a later one replaces an equal one. False when the tree would have too many nodes.
  bool add(std::string_view text, std::int32_t id);
  /// The node behind `byte`, or kNone.
  Node step(Node node, char byte) const;
  /// The node behind all of `text`, or kNone.
  Node walk(Node node, std::string_view text) const;
  /// The id of the text that ends at a node, or -1.
  std::int32_t value(Node node) const { return values_[node]; }
  /// The id of a text, or -1.
  std::int32_t find(std::string_view text) const;

 private:
  // A slot is key << 24 | child; children are never the root, so 0 is a free slot.
  static constexpr size_t kMaxNodes = size_t{1} << 24;
  static std::uint64_t key(Node node, char byte) {
    return static_cast<std::uint64_t>(node) << 8 | static_cast<unsigned char>(byte);
  }
  size_t start(std::uint64_t key) const { return (key * 0x9E3779B97F4A7C15u) >> shift_; }
  void grow();

  std::vector<std::uint64_t> slots_;
  std::vector<std::int32_t> values_;  // by node
  int shift_ = 54;                    // 64 - log2(slots)
};

}  // namespace weft::text
