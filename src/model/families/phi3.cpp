#include <fmt/format.h>

#include <cmath>

#include "model/families/decoder_parts.h"
#include "model/family.h"
#include "model/rope_config.h"

namespace weft::model {

namespace {

nn::Attention phi3_attention(Builder& builder, const std::string& prefix, const DecoderShape& shape) {
  nn::Attention attention;
  attention.heads = shape.heads, attention.kv_heads = shape.kv_heads, attention.head_dim = shape.head_dim;
  attention.scale = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  attention.layout = nn::QkvLayout::kConcat;
  const std::int64_t rows = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  attention.qkv = builder.group(prefix + ".qkv_proj", rows, shape.width);
  attention.out = builder.group(prefix + ".o_proj", shape.width, shape.heads * shape.head_dim);
  attention.rope = 0;
  return attention;
}

nn::Mlp phi3_mlp(Builder& builder, const std::string& prefix, const DecoderShape& shape) {
  nn::Mlp mlp;
  mlp.gated = true, mlp.activation = read_activation(builder.config(), {"hidden_act"}, "silu");
  mlp.up = builder.group(prefix + ".gate_up_proj", 2 * shape.feed_forward, shape.width);
  mlp.down = builder.group(prefix + ".down_proj", shape.width, shape.feed_forward);
  return mlp;
}

nn::Rope phi3_rope(const ConfigReader& config, const DecoderShape& shape) {
  RopeSource source;
  source.head_dim = shape.head_dim, source.positions = shape.positions;
  source.original = config.integer({"original_max_position_embeddings"}, 4096);
  source.long_only = true, source.partial_key = "partial_rotary_factor";
  return read_rope(config, source);
}

void build_phi3(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  DecoderDefaults defaults;
  defaults.positions = 4096, defaults.eps = 1e-5;
  const DecoderShape shape = read_decoder_shape(config, defaults);
  describe(shape, info);
  network.decoder.ropes = {phi3_rope(config, shape)};
  const std::int64_t window = config.find({"sliding_window"}) == nullptr ? 0 : config.integer({"sliding_window"});
  for (std::int64_t i = 0; i < shape.layers; ++i) {
    const std::string prefix = fmt::format("model.layers.{}", i);
    nn::Layer layer;
    layer.before_attention = builder.norm(prefix + ".input_layernorm", shape.norm, shape.width, shape.eps);
    layer.attention = phi3_attention(builder, prefix + ".self_attn", shape);
    layer.attention.window = window;
    layer.before_mlp = builder.norm(prefix + ".post_attention_layernorm", shape.norm, shape.width, shape.eps);
    layer.mlp = phi3_mlp(builder, prefix + ".mlp", shape);
    network.decoder.layers.push_back(std::move(layer));
  }
  build_outside(builder, shape, false, network);
}

}  // namespace

/// Phi-3 and Phi-3.5 mini (Abdin et al. 2024, arXiv 2404.14219): fused projections, longrope.
Family phi3_family() { return {"phi3", Kind::kCausal, {"Phi3ForCausalLM", "Phi3Model"}, build_phi3}; }

}  // namespace weft::model
