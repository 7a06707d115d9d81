#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "weft/core/tensor.h"
#include "weft/core/value.h"

namespace weft::train {

/// Where a training stood: named float32 tensors, and everything that is no tensor.
struct Loaded {
  std::map<std::string, Tensor> tensors;  ///< own memory, on the CPU
  Value state;                            ///< a map
};

/**
 * Writes one file that replaces the checkpoint at `path` in one step, when all of it is on the disk; until then the old
 * one stays as it is. Numbers of `state` keep every digit that Value::of(double) gave them; numbers that are not finite
 * have no place in it.
 * @throws Error when the file cannot be written or `state` has no JSON form.
 */
void save_checkpoint(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                     const Value& state);

/// @throws InputError when there is no such file; FormatError when it is not what save_checkpoint() wrote, down to the
/// last bit.
Loaded load_checkpoint(const std::filesystem::path& path);

}  // namespace weft::train
