#include "model/families/decoder_parts.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "model/rope_config.h"

namespace weft::model {

DecoderShape read_decoder_shape(const ConfigReader& config, const DecoderDefaults& defaults) {
  DecoderShape shape;
  shape.width = config.integer({"hidden_size"});
  shape.layers = config.layers({"num_hidden_layers"});
  shape.heads = config.integer({"num_attention_heads"});
  const bool explicit_null = config.has("num_key_value_heads") && config.find({"num_key_value_heads"}) == nullptr;
  const std::int64_t kv = explicit_null || defaults.kv_heads == 0 ? shape.heads : defaults.kv_heads;
  shape.kv_heads = config.integer({"num_key_value_heads"}, kv);
  if (config.find({"head_dim"}) == nullptr && defaults.head_dim == 0 && shape.width % shape.heads != 0)
    config.fail("num_attention_heads",
                fmt::format("is {}, which does not divide hidden_size {}", shape.heads, shape.width));
  shape.head_dim = config.integer({"head_dim"}, defaults.head_dim > 0 ? defaults.head_dim : shape.width / shape.heads);
  if (shape.heads % shape.kv_heads != 0)
    config.fail("num_key_value_heads",
                fmt::format("is {}, which does not divide num_attention_heads {}", shape.kv_heads, shape.heads));
  shape.feed_forward = config.integer({"intermediate_size"});
  shape.vocabulary = config.integer({"vocab_size"});
  shape.positions = config.integer({"max_position_embeddings"}, defaults.positions);
  shape.eps = config.positive({"rms_norm_eps"}, defaults.eps);
  return shape;
}

void describe(const DecoderShape& shape, ModelInfo& info) {
  info.width = shape.width, info.layers = shape.layers, info.heads = shape.heads, info.kv_heads = shape.kv_heads;
  info.head_dim = shape.head_dim, info.feed_forward = shape.feed_forward, info.vocabulary = shape.vocabulary;
  info.positions = shape.positions;
}

nn::Attention separate_attention(Builder& builder, const std::string& prefix, const DecoderShape& shape,
                                 Presence qkv_bias, Presence out_bias) {
  nn::Attention attention;
  attention.heads = shape.heads, attention.kv_heads = shape.kv_heads, attention.head_dim = shape.head_dim;
  attention.scale = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  const std::int64_t kv = shape.kv_heads * shape.head_dim, q = shape.heads * shape.head_dim;
  attention.qkv.parts = {builder.linear(prefix + ".q_proj", q, shape.width, qkv_bias),
                         builder.linear(prefix + ".k_proj", kv, shape.width, qkv_bias),
                         builder.linear(prefix + ".v_proj", kv, shape.width, qkv_bias)};
  attention.out = builder.group(prefix + ".o_proj", shape.width, q, out_bias);
  return attention;
}

nn::Mlp gated_mlp(Builder& builder, const std::string& prefix, const DecoderShape& shape, nn::Activation activation,
                  Presence bias) {
  nn::Mlp mlp;
  mlp.gated = true, mlp.activation = activation;
  mlp.up.parts = {builder.linear(prefix + ".gate_proj", shape.feed_forward, shape.width, bias),
                  builder.linear(prefix + ".up_proj", shape.feed_forward, shape.width, bias)};
  mlp.down = builder.group(prefix + ".down_proj", shape.width, shape.feed_forward, bias);
  return mlp;
}

std::vector<std::int64_t> read_windows(const ConfigReader& config, std::int64_t layers, std::int64_t window,
                                       bool (*slides)(std::int64_t layer, std::int64_t from), std::int64_t from) {
  const std::vector<std::string> types = config.texts("layer_types", layers);
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < layers; ++i) {
    bool sliding = slides(i, from);
    if (!types.empty()) {
      const std::string& type = types[static_cast<size_t>(i)];
      if (type != "sliding_attention" && type != "full_attention")
        config.refuse("layer_types",
                      fmt::format("unknown kind of layer '{}'; known are full_attention, sliding_attention", type));
      sliding = type == "sliding_attention";
    }
    out.push_back(sliding ? window : 0);
  }
  return out;
}

std::vector<std::int64_t> qwen_windows(const ConfigReader& config, std::int64_t layers) {
  const bool used = config.flag({"use_sliding_window"}, false);
  const std::int64_t window = used ? config.integer({"sliding_window"}, 4096) : 0;
  return read_windows(
      config, layers, window, [](std::int64_t layer, std::int64_t from) { return layer >= from; },
      config.integer({"max_window_layers"}, 28, 0));
}

void build_pre_norm_decoder(Builder& builder, const DecoderShape& shape, const BlockOptions& options, bool tied,
                            nn::Network& network) {
  const ConfigReader& config = builder.config();
  RopeSource rope;
  rope.head_dim = shape.head_dim, rope.positions = shape.positions;
  network.decoder.ropes = {read_rope(config, rope)};
  const nn::Activation activation = read_activation(config, {"hidden_act"}, "silu");
  for (std::int64_t i = 0; i < shape.layers; ++i) {
    const std::string prefix = fmt::format("model.layers.{}", i);
    nn::Layer layer;
    layer.before_attention = builder.norm(prefix + ".input_layernorm", shape.norm, shape.width, shape.eps);
    layer.attention = separate_attention(builder, prefix + ".self_attn", shape, options.qkv_bias, options.out_bias);
    layer.attention.rope = 0;
    if (!options.windows.empty()) layer.attention.window = options.windows[static_cast<size_t>(i)];
    if (options.head_norms) add_head_norms(builder, prefix + ".self_attn", shape, layer.attention);
    layer.before_mlp = builder.norm(prefix + ".post_attention_layernorm", shape.norm, shape.width, shape.eps);
    layer.mlp = gated_mlp(builder, prefix + ".mlp", shape, activation, options.mlp_bias);
    network.decoder.layers.push_back(std::move(layer));
  }
  build_outside(builder, shape, tied, network);
}

void add_head_norms(Builder& builder, const std::string& prefix, const DecoderShape& shape, nn::Attention& attention) {
  attention.q_norm = builder.norm(prefix + ".q_norm", shape.norm, shape.head_dim, shape.eps);
  attention.k_norm = builder.norm(prefix + ".k_norm", shape.norm, shape.head_dim, shape.eps);
}

void build_outside(Builder& builder, const DecoderShape& shape, bool tied, nn::Network& network) {
  network.input.tokens = builder.embedding("model.embed_tokens", shape.vocabulary, shape.width);
  network.decoder.final_norm = builder.norm("model.norm", shape.norm, shape.width, shape.eps);
  network.head = builder.head("lm_head", network.input.tokens, tied);
}

nn::Activation read_activation(const ConfigReader& config, ConfigReader::Keys keys, const char* fallback) {
  return nn::parse_activation(config.text(keys, fallback), config.file());
}

}  // namespace weft::model
