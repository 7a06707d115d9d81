#include <fmt/format.h>

#include <utility>

#include "model/families/parts.h"
#include "model/family.h"
#include "model/rope_config.h"

namespace weft::model {

namespace {

DecoderShape read_neox_shape(const ConfigReader& config) {
  DecoderShape shape;
  shape.width = config.integer({"hidden_size"}, 6144);
  shape.layers = config.layers({"num_hidden_layers"}, 44);
  shape.heads = config.integer({"num_attention_heads"}, 64);
  shape.feed_forward = config.integer({"intermediate_size"}, 24576);
  shape.vocabulary = config.integer({"vocab_size"}, 50432);
  shape.positions = config.integer({"max_position_embeddings"}, 2048);
  shape.eps = config.positive({"layer_norm_eps"}, 1e-5);
  share_out_width(config, "num_attention_heads", shape);
  return shape;
}

nn::Rope read_neox_rope(const ConfigReader& config, const DecoderShape& shape) {
  RopeSource source;
  source.head_dim = shape.head_dim, source.positions = shape.positions;
  source.theta_key = "rotary_emb_base";
  source.partial = 0.25, source.partial_key = "rotary_pct";
  return read_rope(config, source);
}

nn::Layer neox_layer(Builder& builder, const DecoderShape& shape, std::int64_t index, nn::Activation activation) {
  const ConfigReader& config = builder.config();
  const LinearStyle style{config.flag({"attention_bias"}, true) ? Presence::kRequired : Presence::kNone, false};
  const std::string prefix = fmt::format("gpt_neox.layers.{}", index);
  nn::Layer layer;
  if (config.flag({"use_parallel_residual"}, true)) layer.order = nn::Layer::Order::kParallel;
  layer.before_attention = layer_norm(builder, prefix + ".input_layernorm", shape);
  layer.attention = fused_attention(builder, prefix + ".attention.query_key_value", prefix + ".attention.dense", shape,
                                    nn::QkvLayout::kPerHead, style);
  layer.attention.rope = 0;
  layer.before_mlp = layer_norm(builder, prefix + ".post_attention_layernorm", shape);
  layer.mlp = plain_mlp(builder, prefix + ".mlp.dense_h_to_4h", prefix + ".mlp.dense_4h_to_h", shape, activation);
  return layer;
}

void build_gpt_neox(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  const DecoderShape shape = read_neox_shape(config);
  describe(shape, info);
  network.decoder.ropes = {read_neox_rope(config, shape)};
  const nn::Activation activation = read_activation(config, {"hidden_act"}, "gelu");
  network.input.tokens = builder.embedding("gpt_neox.embed_in", shape.vocabulary, shape.width);
  for (std::int64_t i = 0; i < shape.layers; ++i)
    network.decoder.layers.push_back(neox_layer(builder, shape, i, activation));
  network.decoder.final_norm = layer_norm(builder, "gpt_neox.final_layer_norm", shape);
  network.head = builder.head("embed_out", network.input.tokens, false);
}

}  // namespace

/// GPT-NeoX (Black et al. 2022, arXiv 2204.06745) and Pythia: part of every head rotates, attention and feed-forward
/// read the same state.
Family gpt_neox_family() { return {"gpt_neox", Kind::kCausal, {"GPTNeoXForCausalLM", "GPTNeoXModel"}, build_gpt_neox}; }

}  // namespace weft::model
