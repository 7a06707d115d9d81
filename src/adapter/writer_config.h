#pragma once

#include <string>
#include <vector>

#include "adapter/writer_check.h"
#include "weft/adapter/adapter.h"

namespace weft::adapter {

/**
 * `adapter_config.json` of a composed adapter: what the inputs agree on and every consumer understands, ranks and
 * alphas spelled out so that every scale is 1. Keys sorted. `givers` are the inputs that the full tensors come from.
 * @throws UnsupportedError when the inputs disagree on something that changes what the tensors mean.
 */
Value output_config(const std::vector<Adapter>& inputs, const std::vector<WrittenModule>& modules,
                    const std::vector<FullTensor>& full, const std::vector<Adapter>& givers);

/// The entries of the inputs' `modules_to_save` that hold the parameter or module `name`, by PEFT's rule.
std::vector<std::string> saving_entries(const std::vector<Adapter>& inputs, const std::string& name);

/// `path` with everything escaped that a regular expression would take for more than itself.
std::string escape_pattern(const std::string& path);

/// The value with the keys of every map sorted, as PEFT writes them; except the patterns, whose order matters.
Value sorted_config(const Value& value);

}  // namespace weft::adapter
