#pragma once

#include <string>
#include <vector>

#include "model/builder.h"

namespace weft::model {

/// One row per model_type: how a config and a checkpoint become a network.
struct Family {
  std::string name;  ///< the config's model_type
  Kind kind = Kind::kCausal;
  std::vector<std::string> architectures;  ///< class names that are understood
  /// Fills `network`, and the shapes of `info`. Throws UnsupportedError for options that are not computed.
  void (*build)(Builder& builder, nn::Network& network, ModelInfo& info);
};

/// All families, one per file in this folder.
const std::vector<Family>& family_table();

Family llama_family();
Family mistral_family();
Family qwen2_family();
Family qwen3_family();
Family gemma2_family();
Family gemma3_text_family();
Family gemma3_family();
Family phi3_family();
Family gpt2_family();
Family gpt_neox_family();
Family opt_family();
Family bloom_family();
Family t5_family();
Family bert_family();
Family roberta_family();
Family distilbert_family();

}  // namespace weft::model
