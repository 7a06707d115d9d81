#include <fmt/format.h>

#include <cmath>

#include "model/families/gemma.h"
#include "model/family.h"
#include "model/rope_config.h"

namespace weft::model {

DecoderShape read_gemma_shape(const ConfigReader& config, std::int64_t positions) {
  DecoderDefaults defaults;
  defaults.head_dim = 256, defaults.kv_heads = 4, defaults.positions = positions;
  DecoderShape shape = read_decoder_shape(config, defaults);
  shape.norm = nn::Norm::Kind::kRmsPlusOne;
  return shape;
}

void build_gemma(Builder& builder, const DecoderShape& shape, const GemmaOptions& options, nn::Network& network) {
  const ConfigReader& config = builder.config();
  const nn::Activation activation = read_activation(config, {"hidden_activation"}, "gelu_pytorch_tanh");
  const Presence bias = config.flag({"attention_bias"}, false) ? Presence::kRequired : Presence::kNone;
  const double scale = 1.0 / std::sqrt(config.positive({"query_pre_attn_scalar"}, 256.0));
  for (std::int64_t i = 0; i < shape.layers; ++i) {
    const std::string prefix = fmt::format("model.layers.{}", i);
    const auto norm = [&](const char* name) { return builder.norm(prefix + name, shape.norm, shape.width, shape.eps); };
    nn::Layer layer;
    layer.before_attention = norm(".input_layernorm");
    layer.after_attention = norm(".post_attention_layernorm");
    layer.before_mlp = norm(".pre_feedforward_layernorm");
    layer.after_mlp = norm(".post_feedforward_layernorm");
    layer.attention = separate_attention(builder, prefix + ".self_attn", shape, bias, bias);
    layer.attention.scale = scale, layer.attention.softcap = options.softcap;
    layer.attention.window = options.windows[static_cast<size_t>(i)];
    layer.attention.rope = options.local_rope && layer.attention.window > 0 ? 1 : 0;
    if (options.head_norms) add_head_norms(builder, prefix + ".self_attn", shape, layer.attention);
    layer.mlp = gated_mlp(builder, prefix + ".mlp", shape, activation);
    network.decoder.layers.push_back(std::move(layer));
  }
  build_outside(builder, shape, true, network);
  network.input.scale = std::sqrt(static_cast<double>(shape.width));
}

namespace {

/// A cap of the config: null is off, absent is `fallback`.
double read_cap(const ConfigReader& config, std::string_view key, double fallback) {
  return config.has(key) && config.find({key}) == nullptr ? 0.0 : config.positive({key}, fallback);
}

void build_gemma2(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  config.require_flag("use_bidirectional_attention", false, "only causal attention is computed");
  const DecoderShape shape = read_gemma_shape(config, 8192);
  describe(shape, info);
  GemmaOptions options;
  options.softcap = read_cap(config, "attn_logit_softcapping", 50.0);
  options.windows = read_windows(
      config, shape.layers, config.integer({"sliding_window"}, 4096),
      [](std::int64_t layer, std::int64_t) { return layer % 2 == 0; }, 0);
  RopeSource rope;
  rope.head_dim = shape.head_dim, rope.positions = shape.positions;
  network.decoder.ropes = {read_rope(config, rope)};
  network.logit_softcap = read_cap(config, "final_logit_softcapping", 30.0);
  build_gemma(builder, shape, options, network);
}

}  // namespace

/// Gemma 2 (Gemma Team 2024, arXiv 2408.00118).
Family gemma2_family() { return {"gemma2", Kind::kCausal, {"Gemma2ForCausalLM", "Gemma2Model"}, build_gemma2}; }

}  // namespace weft::model
