#pragma once

#include <string>
#include <string_view>

namespace weft::adapter {

/// What a tensor of a PEFT file is.
enum class PeftRole {
  kA,
  kB,
  kBias,  ///< of lora_B
  kEmbeddingA,
  kEmbeddingB,
  kMagnitude,
  kDiagonal,
  kTrainingState,  ///< of MonteCLoRA and VeLoRA; no part of the update
  kFrozenCopy,     ///< a copy of the base's weights that old versions kept
  kTokenRows,
  kFull  ///< replaces a tensor of the base
};

/// A key taken apart.
struct PeftKey {
  PeftRole role = PeftRole::kFull;
  std::string name;     ///< module, or parameter path for kTokenRows and kFull; without prefix, infixes, base_layer
  std::string adapter;  ///< the adapter's name if the key carries one
  int depth = 0;        ///< `.base_layer` right before `.lora_`
};

/// Takes a key apart. @throws InputError naming `file` and the key when a `lora_` part is not one PEFT writes.
PeftKey parse_peft_key(std::string_view key, const std::string& file);

/// Whether a key is named the way PEFT names a factor.
bool looks_like_peft(std::string_view key);

}  // namespace weft::adapter
