#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/builder.h"

namespace weft::model {

/// Shapes of a decoder in the manner of Llama, as nearly all current ones are.
struct DecoderShape {
  std::int64_t width = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, feed_forward = 0, vocabulary = 0;
  std::int64_t positions = 0;
  double eps = 1e-6;
  nn::Norm::Kind norm = nn::Norm::Kind::kRms;
};

/// `hidden_size`, `num_attention_heads`, …; throws FormatError where they do not divide.
struct DecoderDefaults {
  std::int64_t head_dim = 0;  ///< 0: hidden_size / num_attention_heads
  std::int64_t kv_heads = 0;  ///< 0: num_attention_heads
  std::int64_t positions = 2048;
  double eps = 1e-6;
};
DecoderShape read_decoder_shape(const ConfigReader& config, const DecoderDefaults& defaults);

/// Puts the shape into `info`.
void describe(const DecoderShape& shape, ModelInfo& info);

/// `prefix`.{q,k,v,o}_proj; the score is scaled by 1 / sqrt(head_dim).
nn::Attention separate_attention(Builder& builder, const std::string& prefix, const DecoderShape& shape,
                                 Presence qkv_bias, Presence out_bias);
/// `prefix`.{q,k}_norm on every head.
void add_head_norms(Builder& builder, const std::string& prefix, const DecoderShape& shape, nn::Attention& attention);
/// `prefix`.{gate,up,down}_proj with the activation of `hidden_act`.
nn::Mlp gated_mlp(Builder& builder, const std::string& prefix, const DecoderShape& shape, nn::Activation activation,
                  Presence bias = Presence::kNone);
/// `layer_types` of the config as windows per layer (0: full attention); `fallback(layer)` where it is absent.
std::vector<std::int64_t> read_windows(const ConfigReader& config, std::int64_t layers, std::int64_t window,
                                       bool (*slides)(std::int64_t layer, std::int64_t from), std::int64_t from);
/// Windows of Qwen2 and Qwen3: `use_sliding_window`, `sliding_window`, `max_window_layers`, `layer_types`.
std::vector<std::int64_t> qwen_windows(const ConfigReader& config, std::int64_t layers);

/// What differs between decoders in the manner of Llama.
struct BlockOptions {
  Presence qkv_bias = Presence::kNone, out_bias = Presence::kNone, mlp_bias = Presence::kNone;
  bool head_norms = false;            ///< `q_norm`, `k_norm` on every head
  std::vector<std::int64_t> windows;  ///< per layer, 0: full attention; empty: all full
};
/// A whole decoder in the manner of Llama, with rotary positions: blocks and outside.
void build_pre_norm_decoder(Builder& builder, const DecoderShape& shape, const BlockOptions& options, bool tied,
                            nn::Network& network);

/// Everything outside the blocks: `model.embed_tokens`, `model.norm`, `lm_head`.
void build_outside(Builder& builder, const DecoderShape& shape, bool tied, nn::Network& network);
/// The activation of `hidden_act` (or another key).
nn::Activation read_activation(const ConfigReader& config, ConfigReader::Keys keys, const char* fallback);

}  // namespace weft::model
