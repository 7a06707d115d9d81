#pragma once

#include <string>
#include <vector>

#include "adapter/peft_config.h"
#include "adapter/peft_keys.h"
#include "io/tensor_file.h"
#include "weft/adapter/adapter.h"

namespace weft::adapter {

/// A tensor that is no part of a low-rank update, and its key taken apart.
struct PeftFullKey {
  const io::TensorEntry* entry = nullptr;
  PeftKey key;
};

/**
 * Sorts out which of the base's tensors they replace. A tensor stored twice (with and without `modules_to_save`) is
 * listed once; what is worth saying goes to `warnings`. @throws InputError on a dtype that is no floating point.
 */
std::vector<FullTensor> peft_full_tensors(const std::vector<PeftFullKey>& keys, const PeftConfig& config,
                                          const std::string& file, std::vector<std::string>& warnings);

}  // namespace weft::adapter
