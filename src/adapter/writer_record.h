#pragma once

#include <filesystem>
#include <vector>

#include "weft/adapter/adapter.h"

namespace weft::adapter {

/**
 * `weft.json`: the caller's `provenance`, then `weft` (version), `inputs` (name, path as given, SHA-256 of config and
 * tensors) and `output` (dtype, SHA-256 of `tensors`). No times and no machine facts, so the same inputs give the same
 * bytes.
 */
Value output_record(const Value& provenance, const std::vector<Adapter>& inputs, const std::filesystem::path& tensors,
                    c10::ScalarType dtype);

}  // namespace weft::adapter
