#pragma once

#include <string>

#include "adapter/adapter_data.h"
#include "adapter/peft_config.h"
#include "adapter/peft_keys.h"
#include "io/tensor_file.h"

namespace weft::adapter {

/// The tensors found for one module so far.
struct PeftDraft {
  std::string module;
  int depth = 0;
  bool embedding = false;
  const io::TensorEntry *a = nullptr, *b = nullptr, *bias = nullptr, *magnitude = nullptr, *diagonal = nullptr;

  /// Where a tensor of this role belongs, or nullptr when it is no part of an update.
  const io::TensorEntry** slot(PeftRole role) {
    switch (role) {
      case PeftRole::kA:
      case PeftRole::kEmbeddingA: return &a;
      case PeftRole::kB:
      case PeftRole::kEmbeddingB: return &b;
      case PeftRole::kBias: return &bias;
      case PeftRole::kMagnitude: return &magnitude;
      case PeftRole::kDiagonal: return &diagonal;
      default: return nullptr;
    }
  }
};

/**
 * The module that a draft makes. `parameter` is the name of the parameter that it updates (`target_parameters`), empty
 * for a layer. @throws InputError naming `file`, tensor and config when halves are missing, shapes do not fit or config
 * and tensors disagree.
 */
ModuleEntry build_peft_module(const PeftDraft& draft, const std::string& parameter, const PeftConfig& config,
                              const std::string& file);

}  // namespace weft::adapter
