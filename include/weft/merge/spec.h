#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/core/error.h"
#include "weft/core/fields.h"
#include "weft/core/value.h"

namespace weft::merge {

/// Where a module stands in its stack of layers, as parsed from its name (`….layers.3.…`).
struct ModulePosition {
  std::string name;
  int layer = -1;  ///< -1: before or after the layer stack
  int layers = 0;  ///< number of layers of the stack
};

/// How much rank the result keeps.
struct RankRule {
  enum class Kind { kExact, kKeep, kFixed, kEnergy };
  Kind kind = Kind::kKeep;
  double number = 0;  ///< kFixed: the rank; kEnergy: the share of squared singular values to keep, in (0, 1]
};

/**
 * A numeric option as mergekit users write it: a number, a gradient over the layers (a list of anchors), or a list of
 * {filter, value} whose first substring match decides (`*` or no filter matches all).
 */
template <class T>
struct Schedule {
  struct Rule {
    std::string filter;      ///< substring of the module name; empty matches all
    std::vector<T> anchors;  ///< one value, or a gradient
  };
  std::vector<Rule> rules;
  Schedule() = default;
  Schedule(T value) : rules{{"", {value}}} {}  // NOLINT: a number is a schedule
};

/// Value at a module: gradients are interpolated linearly at layer / (layers - 1). Nothing if no rule matches.
WEFT_API const double* first_match(const Schedule<double>&, const ModulePosition&, double& storage);
WEFT_API const RankRule* first_match(const Schedule<RankRule>&, const ModulePosition&, RankRule& storage);

enum class Space { kDelta, kFactors };
enum class Sparsify { kNone, kMagnitude, kRandom };
enum class Consensus { kNone, kSignTotal, kSignFrequency };
enum class Combine { kSum, kMean };
enum class Missing { kZero, kRenormalize };
enum class Vote { kUnweighted, kWeighted };
enum class Divisor { kCount, kWeight };
enum class FactorWeights { kRoot, kWhole };

/// Per-adapter options; a module takes the first of: the adapter's own, the recipe's, the default.
struct AdapterSpec {
  Schedule<double> weight;   ///< no rules: the recipe's, else 1
  Schedule<double> density;  ///< no rules: the recipe's, else 0.5
};

/**
 * A static composition: space x sparsify x consensus x combine x rank. Presets (methods.h) fill it in; any well-defined
 * combination may be asked for.
 */
struct MergeSpec {
  std::string method = "linear";  ///< the preset it started from, for the record
  Space space = Space::kDelta;
  Sparsify sparsify = Sparsify::kNone;
  Consensus consensus = Consensus::kNone;
  Combine combine = Combine::kSum;
  Schedule<RankRule> rank;
  Schedule<double> weight = 1.0;      ///< for adapters without their own
  Schedule<double> density = 0.5;     ///< likewise
  Schedule<double> scale = 1.0;       ///< multiplies the result (task arithmetic's lambda)
  bool normalize = false;             ///< divide the weights by their sum
  bool rescale = true;                ///< random sparsification divides survivors by the density
  Missing missing = Missing::kZero;   ///< an adapter without the module: a zero update, or not counted
  Vote vote = Vote::kUnweighted;      ///< sign election on the updates as they are (PEFT) or weighted (mergekit)
  Divisor divisor = Divisor::kCount;  ///< mean divides by how many agree (PEFT) or by the sum of |weights| that agree
  /// Space factors: each factor takes the root of the weight (PEFT), or all of it (LoRAHub, arXiv 2307.13269: one
  /// adapter then counts by its weight squared, whatever the sign).
  FactorWeights factor_weights = FactorWeights::kRoot;
  std::int64_t seed = 0;
  std::string full_tensors = "refuse";  ///< refuse | from:NAME | mean | drop
  bool peft = false;                    ///< a peft_* preset: factor-wise cross terms are reported as a warning
  std::vector<AdapterSpec> adapters;    ///< one per pool member; shorter means defaults
};

/// A named preset and what it stands on.
struct Method {
  std::string name;
  std::string title;              ///< one line
  std::string paper;              ///< `Yadav et al. 2023, arXiv:2306.01708`
  std::string parts;              ///< `delta · magnitude · sign_total · mean · keep`
  MergeSpec spec;                 ///< what the preset fills in
  std::vector<std::string> laws;  ///< identity, permutation, gauge, scale, rescaling
};

/// All presets, in the order they are shown.
WEFT_API const std::vector<Method>& methods();
/// The preset called `name`; RecipeError at `place` with the nearest name.
WEFT_API const Method& find_method(const std::string& name, const Place& place = {});
/// Every option of every part: the one list.
WEFT_API const std::vector<Field>& fields();

/// Sets a recipe-wide option. @throws RecipeError at the value's place (unknown key: at `key_place`).
WEFT_API void set_option(MergeSpec& spec, const std::string& key, const Value& value, const Place& key_place = {});
/// Sets an option of one adapter (`weight`, `density`); grows spec.adapters.
WEFT_API void set_adapter_option(MergeSpec& spec, size_t index, const std::string& key, const Value& value,
                                 const Place& key_place = {});
/// The recipe-wide options that differ from the preset's, as a map that set_option reads back (for --print-recipe and
/// weft.json); with `all`, every option.
WEFT_API Value options_of(const MergeSpec& spec, bool all = false);
/// The options of one adapter as a map, empty map if none.
WEFT_API Value adapter_options_of(const MergeSpec& spec, size_t index);

}  // namespace weft::merge
