#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "weft/core/error.h"
#include "weft/search/optimizer.h"

namespace weft::search {

class LayerBlocks;

/// How finely weights are searched.
enum class Granularity {
  kAdapter,     ///< one weight per adapter
  kLayerBlock,  ///< one per adapter and block of neighbouring layers (mergekit-evolve's layer_granularity)
  kKind,        ///< one per adapter and kind of module (`q_proj`, `down_proj`, …)
  kBlockKind,   ///< one per adapter, block of layers and kind of module
};

/// What the weights may be.
struct SpaceOptions {
  Granularity granularity = Granularity::kAdapter;
  std::int64_t layer_blocks =
      3;  ///< kLayerBlock and kBlockKind: how many blocks, at least 1; at most as many as there are layers
  double lower = -1.5, upper = 1.5;  ///< of every weight (LoRAHub's box); equal bounds leave nothing to move
  double start = 0.0;                ///< of every weight that is searched; inside the bounds
  std::vector<std::pair<std::string, double>> starts;  ///< first weights of adapters by name
  std::vector<std::pair<std::string, double>> fixed;   ///< weights that are not searched, by name; may leave the box
  std::vector<std::vector<std::string>> tied;          ///< groups of names that share one weight
};

/**
 * What a point of a search means: which weights its coordinates are. Modules fall into groups; every group has a weight
 * per adapter; a coordinate is one weight or several tied ones. Coordinates stand group by group, and within a group in
 * the order of the adapters (tied ones where the first of them stands).
 *
 * The layer of a module is the first number in its name (`model.layers.3.mlp.down_proj`: 3), counted from the first to
 * the last layer that occurs; stacks with different names before the number (T5's `encoder.block`, `decoder.block`) are
 * counted apart and cut into the same number of blocks. The kind of a module is the last part of its name that is no
 * number.
 */
class WEFT_API Space {
 public:
  /// `modules`: names of what the adapters act on, needed unless there is one group; a module outside of every
  /// stack of layers joins the first block when it is named before the first module in a stack, the last block
  /// otherwise.
  /// @throws UsageError: no adapters or one named twice, an unknown name with the nearest one, a name given twice or
  /// both
  ///         fixed and tied or started, tied names with different starts, crossed or non-finite bounds, a start outside
  ///         them, nothing left to search, no modules (or none in a layer) where they are needed.
  Space(std::vector<std::string> adapters, const std::vector<std::string>& modules, const SpaceOptions& options);

  const std::vector<std::string>& adapters() const { return adapters_; }
  /// Coordinates of a point.
  size_t size() const { return lower_.size(); }
  size_t groups() const { return groups_.size(); }
  /// `layers 0-3` (`block 1 of 4` where stacks differ in length), `q_proj`, `layers 0-3 q_proj`; `all`.
  const std::vector<std::string>& group_names() const { return groups_; }
  /// Group of each module, in the order given; all 0 with one group.
  const std::vector<std::int64_t>& group_of_module() const { return group_of_module_; }
  /// The group of a module by its name. For modules that the constructor was not told: layers beyond the known ones
  /// belong to the nearest block, modules outside of the layers to the last one. @throws UsageError for a new kind.
  std::int64_t group_of(const std::string& module) const;
  /// Weights [groups · adapters], group by group. @throws UsageError when `point` has another size.
  std::vector<double> weights(const Point& point) const;
  /// The gradient by coordinate, given the one by weight [groups · adapters]; fixed weights have no part in it.
  /// @throws UsageError when `by_weight` has another size.
  Point pull_back(const std::vector<double>& by_weight) const;
  /// Box, start, origin (searched weights at 0) and singles (all coordinates of one adapter, or of tied ones, at 1, the
  /// others at the origin); where the box does not contain 0 or 1, the nearest point it has stands for it. Budget and
  /// seed are the caller's.
  Problem problem() const;
  /// Name of a coordinate: `reverse`, `reverse, layers 0-3`, `a + b`. @throws UsageError from size() on.
  const std::string& name(size_t coordinate) const;

 private:
  /// How the adapters share weights: an ingredient is one adapter that is searched, or several tied ones.
  struct Ingredients {
    std::vector<std::int64_t> of_adapter;  // -1: fixed
    std::vector<double> fixed;             // of each adapter
    std::vector<double> starts;            // of each ingredient
    std::vector<std::string> names;
  };

  /// What the options say of each adapter.
  struct Claims {
    std::vector<std::optional<double>> fixed, start;
    std::vector<std::int64_t> tied;  // which group; -1: none
  };

  Claims claims(const SpaceOptions& options) const;
  Ingredients ingredients(const SpaceOptions& options) const;
  size_t adapter_index(const std::string& name, const char* option) const;
  void group_modules(const std::vector<std::string>& modules, const SpaceOptions& options);
  void group_by_layer(const std::vector<std::string>& modules, std::int64_t blocks);
  void group_by_kind(const std::vector<std::string>& modules);
  void group_by_both(const std::vector<std::string>& modules, std::int64_t blocks);

  std::vector<std::string> adapters_, groups_;
  std::vector<std::int64_t> group_of_module_;
  std::map<std::string, std::int64_t, std::less<>> group_of_name_;  // of each module, kind, or block and kind
  std::shared_ptr<const LayerBlocks> blocks_;                       // with blocks of layers
  Point lower_, upper_, start_;
  std::vector<std::int64_t> coordinate_;      // of each weight; -1: fixed
  std::vector<double> fixed_;                 // of each weight
  std::vector<std::vector<size_t>> members_;  // of each ingredient: its coordinates
  std::vector<std::string> names_;            // of each coordinate
  Granularity granularity_ = Granularity::kAdapter;
};

}  // namespace weft::search
