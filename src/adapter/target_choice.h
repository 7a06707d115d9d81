#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft::adapter {

/// How a PEFT config says which modules are adapted.
struct TargetChoice {
  std::vector<std::string> modules;         ///< target_modules, sorted
  std::vector<std::int64_t> layers;         ///< layers_to_transform, ascending; empty: not said
  std::vector<std::string> layers_pattern;  ///< what stands before the index of a layer, sorted
};

/**
 * The shortest way to name exactly `trained` among `all` (which holds them): endings of names (`q_proj`,
 * `output.dense`), those within some layers, or, where neither singles them out, full names.
 */
TargetChoice choose_targets(const std::vector<std::string>& trained, const std::vector<std::string>& all);

}  // namespace weft::adapter
