#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "model/families/parts.h"
#include "model/family.h"

namespace weft::model {

namespace {

DecoderShape read_bloom_shape(const ConfigReader& config) {
  DecoderShape shape;
  shape.width = config.integer({"n_embed", "hidden_size"}, 64);
  shape.layers = config.layers({"n_layer", "num_hidden_layers"}, 2);
  shape.heads = config.integer({"n_head", "num_attention_heads"}, 8);
  shape.feed_forward = 4 * shape.width;
  shape.vocabulary = config.integer({"vocab_size"}, 250880);
  shape.positions = config.integer({"seq_length"}, 2048);
  shape.eps = config.positive({"layer_norm_epsilon"}, 1e-5);
  share_out_width(config, "n_head", shape);
  return shape;
}

/// Slopes by head (Press et al. 2022, arXiv 2108.12409): powers of 2^(-8/p), p the largest power of two up to the
/// number of heads; the rest are the odd powers of the series for 2p.
std::vector<float> alibi_slopes(std::int64_t heads) {
  std::int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  const double base = std::exp2(-8.0 / static_cast<double>(power)),
               finer = std::exp2(-4.0 / static_cast<double>(power));
  std::vector<float> out;
  for (std::int64_t i = 0; i < heads; ++i)
    out.push_back(static_cast<float>(i < power ? std::pow(base, static_cast<double>(i + 1))
                                               : std::pow(finer, static_cast<double>(2 * (i - power) + 1))));
  return out;
}

nn::Layer bloom_layer(Builder& builder, const DecoderShape& shape, std::int64_t index) {
  const std::string prefix = fmt::format("transformer.h.{}", index);
  nn::Layer layer;
  layer.residual_from_norm = builder.config().flag({"apply_residual_connection_post_layernorm"}, false);
  layer.before_attention = layer_norm(builder, prefix + ".input_layernorm", shape);
  layer.attention = fused_attention(builder, prefix + ".self_attention.query_key_value",
                                    prefix + ".self_attention.dense", shape, nn::QkvLayout::kPerHead, {});
  // Only beside weights that fit: the config alone may claim any number of heads.
  if (layer.attention.qkv.parts.front().weight.defined()) layer.attention.alibi = alibi_slopes(shape.heads);
  layer.before_mlp = layer_norm(builder, prefix + ".post_attention_layernorm", shape);
  layer.mlp = plain_mlp(builder, prefix + ".mlp.dense_h_to_4h", prefix + ".mlp.dense_4h_to_h", shape,
                        nn::Activation::kGeluTanh);
  return layer;
}

void build_bloom(Builder& builder, nn::Network& network, ModelInfo& info) {
  const DecoderShape shape = read_bloom_shape(builder.config());
  describe(shape, info);
  network.input.tokens = builder.embedding("transformer.word_embeddings", shape.vocabulary, shape.width);
  network.input.norm = layer_norm(builder, "transformer.word_embeddings_layernorm", shape);
  for (std::int64_t i = 0; i < shape.layers; ++i) network.decoder.layers.push_back(bloom_layer(builder, shape, i));
  network.decoder.final_norm = layer_norm(builder, "transformer.ln_f", shape);
  network.head = builder.head("lm_head", network.input.tokens, true);
}

}  // namespace

/// BLOOM (Le Scao et al. 2022, arXiv 2211.05100): no positions but scores that fall with distance.
Family bloom_family() { return {"bloom", Kind::kCausal, {"BloomForCausalLM", "BloomModel"}, build_bloom}; }

}  // namespace weft::model
