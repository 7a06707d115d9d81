#include <fmt/format.h>

#include <utility>

#include "model/families/parts.h"
#include "model/family.h"

namespace weft::model {

namespace {

DecoderShape read_gpt2_shape(const ConfigReader& config) {
  DecoderShape shape;
  shape.width = config.integer({"n_embd", "hidden_size"}, 768);
  shape.layers = config.layers({"n_layer", "num_hidden_layers"}, 12);
  shape.heads = config.integer({"n_head", "num_attention_heads"}, 12);
  shape.feed_forward = config.integer({"n_inner"}, 4 * shape.width);
  shape.vocabulary = config.integer({"vocab_size"}, 50257);
  shape.positions = config.integer({"n_positions", "max_position_embeddings"}, 1024);
  shape.eps = config.positive({"layer_norm_epsilon"}, 1e-5);
  share_out_width(config, "n_head", shape);
  return shape;
}

nn::Layer gpt2_layer(Builder& builder, const DecoderShape& shape, std::int64_t index, nn::Activation activation) {
  const ConfigReader& config = builder.config();
  const LinearStyle conv1d{Presence::kRequired, true};
  const std::string prefix = fmt::format("transformer.h.{}", index);
  nn::Layer layer;
  layer.before_attention = layer_norm(builder, prefix + ".ln_1", shape);
  layer.attention =
      fused_attention(builder, prefix + ".attn.c_attn", prefix + ".attn.c_proj", shape, nn::QkvLayout::kConcat, conv1d);
  if (!config.flag({"scale_attn_weights"}, true)) layer.attention.scale = 1.0;
  if (config.flag({"scale_attn_by_inverse_layer_idx"}, false)) layer.attention.scale /= static_cast<double>(index + 1);
  layer.before_mlp = layer_norm(builder, prefix + ".ln_2", shape);
  layer.mlp = plain_mlp(builder, prefix + ".mlp.c_fc", prefix + ".mlp.c_proj", shape, activation, conv1d);
  return layer;
}

void build_gpt2(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  config.require_flag("add_cross_attention", false, "cross-attention to another model is not computed");
  const DecoderShape shape = read_gpt2_shape(config);
  describe(shape, info);
  info.positions_end = true;
  const nn::Activation activation = read_activation(config, {"activation_function"}, "gelu_new");
  network.input.tokens = builder.embedding("transformer.wte", shape.vocabulary, shape.width);
  network.input.positions = builder.embedding("transformer.wpe", shape.positions, shape.width);
  for (std::int64_t i = 0; i < shape.layers; ++i)
    network.decoder.layers.push_back(gpt2_layer(builder, shape, i, activation));
  network.decoder.final_norm = layer_norm(builder, "transformer.ln_f", shape);
  network.head = builder.head("lm_head", network.input.tokens, true);
}

}  // namespace

/// GPT-2 (Radford et al. 2019): learned positions, weights stored [in, out].
Family gpt2_family() { return {"gpt2", Kind::kCausal, {"GPT2LMHeadModel", "GPT2Model"}, build_gpt2}; }

}  // namespace weft::model
