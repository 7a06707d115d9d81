#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weft::search {

/// Where a module stands in a stack of layers: `model.layers.3.mlp.down_proj` is layer 3 of the stack `model.layers`.
struct LayerPlace {
  std::string stack;        ///< what comes before the number
  std::int64_t layer = -1;  ///< -1: in no stack
};

/// By the first component of a dotted name that is a number (of at most nine digits).
LayerPlace layer_place(std::string_view module);

/// The kind of a module: the last component of its name that is no number; the whole name when there is none.
std::string module_kind(std::string_view module);

/**
 * Blocks of neighbouring layers. Every stack (a T5 has two) is cut into the same number of blocks, as evenly as it
 * goes, from its first layer to its last.
 */
class LayerBlocks {
 public:
  LayerBlocks() = default;
  /// At most as many blocks as the longest stack has layers.
  LayerBlocks(const std::vector<std::string>& modules, std::int64_t blocks);
  /// 0 when no module stands in a stack.
  std::int64_t count() const { return count_; }
  /// Block of a module in a stack; -1 for others. Layers beyond those known count as the nearest, unknown stacks as the
  /// longest known one.
  std::int64_t of(std::string_view module) const;
  /// `layers 0-3`, `layer 2`; `block 1 of 4` where stacks differ in their layers.
  std::vector<std::string> names() const;

 private:
  struct Range {
    std::int64_t first = 0, last = -1;
    std::int64_t size() const { return last - first + 1; }
  };

  std::map<std::string, Range, std::less<>> stacks_;
  std::string longest_;
  std::int64_t count_ = 0;
};

}  // namespace weft::search
