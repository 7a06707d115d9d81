#pragma once

#include <cstdint>
#include <vector>

#include "model/families/decoder_parts.h"

namespace weft::model {

/// What Gemma 2 and Gemma 3 differ in.
struct GemmaOptions {
  std::vector<std::int64_t> windows;  ///< per layer, 0: full attention
  bool head_norms = false;
  bool local_rope = false;  ///< sliding layers take the second rope
  double softcap = 0.0;     ///< of the scores
};
/// The shape in common: `hidden_activation`, `query_pre_attn_scalar`, norms as 1 + weight.
DecoderShape read_gemma_shape(const ConfigReader& config, std::int64_t positions);
/// Blocks with norms on both sides of attention and feed-forward, and everything outside them.
void build_gemma(Builder& builder, const DecoderShape& shape, const GemmaOptions& options, nn::Network& network);

}  // namespace weft::model
