#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "model/families/parts.h"
#include "model/family.h"

namespace weft::model {

namespace {

struct T5Config {
  DecoderShape shape;
  std::int64_t decoder_layers = 0, buckets = 0, max_distance = 0;
  bool gated = false, scaled = false;
  nn::Activation activation = nn::Activation::kRelu;
};

/// `feed_forward_proj`: an activation, or `gated-` and an activation; `gated-gelu` means the one with tanh.
void read_t5_feed_forward(const ConfigReader& config, T5Config& t5) {
  std::string name = config.text({"feed_forward_proj"}, "relu");
  constexpr std::string_view kGated = "gated-";
  t5.gated = name.starts_with(kGated);
  if (name == "gated-gelu")
    name = "gelu_new";
  else if (t5.gated)
    name.erase(0, kGated.size());
  t5.activation = nn::parse_activation(name, config.file() + ": feed_forward_proj");
}

T5Config read_t5(const ConfigReader& config) {
  T5Config t5;
  DecoderShape& shape = t5.shape;
  shape.norm = nn::Norm::Kind::kRms;
  shape.width = config.integer({"d_model", "hidden_size"}, 512);
  shape.layers = config.layers({"num_layers", "num_hidden_layers"}, 6);
  shape.heads = shape.kv_heads = config.integer({"num_heads", "num_attention_heads"}, 8);
  shape.head_dim = config.integer({"d_kv", "head_dim"}, 64);
  shape.feed_forward = config.integer({"d_ff"}, 2048);
  shape.vocabulary = config.integer({"vocab_size"}, 32128);
  shape.eps = config.positive({"layer_norm_epsilon"}, 1e-6);
  t5.decoder_layers = config.layers({"num_decoder_layers"}, shape.layers);
  t5.buckets = config.integer({"relative_attention_num_buckets"}, 32, 4);
  t5.max_distance = config.integer({"relative_attention_max_distance"}, 128);
  if (t5.max_distance <= t5.buckets / 2)
    config.fail("relative_attention_max_distance",
                fmt::format("is {}, expected more than half of relative_attention_num_buckets, {}", t5.max_distance,
                            t5.buckets / 2));
  t5.scaled = config.flag({"scale_decoder_outputs", "tie_word_embeddings"}, true);
  read_t5_feed_forward(config, t5);
  return t5;
}

AttentionNames t5_names(const std::string& prefix) {
  return {prefix + ".q", prefix + ".k", prefix + ".v", prefix + ".o"};
}

nn::Norm t5_norm(Builder& builder, const std::string& name, const DecoderShape& shape) {
  return builder.norm(name, nn::Norm::Kind::kRms, shape.width, shape.eps);
}

nn::Mlp t5_mlp(Builder& builder, const std::string& prefix, const T5Config& t5) {
  const DecoderShape& shape = t5.shape;
  if (!t5.gated) return plain_mlp(builder, prefix + ".wi", prefix + ".wo", shape, t5.activation, {Presence::kNone});
  nn::Mlp mlp;
  mlp.gated = true, mlp.activation = t5.activation;
  mlp.up.parts = {builder.linear(prefix + ".wi_0", shape.feed_forward, shape.width),
                  builder.linear(prefix + ".wi_1", shape.feed_forward, shape.width)};
  mlp.down = builder.group(prefix + ".wo", shape.width, shape.feed_forward);
  return mlp;
}

/// Attention of a block: T5 does not scale its scores.
nn::Attention t5_attention(Builder& builder, const std::string& prefix, const T5Config& t5) {
  nn::Attention attention = plain_attention(builder, t5_names(prefix), t5.shape, Presence::kNone);
  attention.scale = 1.0;
  return attention;
}

nn::Layer t5_layer(Builder& builder, const std::string& prefix, const T5Config& t5, bool decoder) {
  nn::Layer layer;
  layer.before_attention = t5_norm(builder, prefix + ".layer.0.layer_norm", t5.shape);
  layer.attention = t5_attention(builder, prefix + ".layer.0.SelfAttention", t5);
  layer.attention.causal = decoder, layer.attention.relative_bias = true;
  if (decoder) {
    layer.before_cross = t5_norm(builder, prefix + ".layer.1.layer_norm", t5.shape);
    layer.cross = t5_attention(builder, prefix + ".layer.1.EncDecAttention", t5);
    layer.cross.causal = false;
    // The queries read the decoder's states, keys and values the encoder's.
    std::vector<nn::Linear>& parts = layer.cross.qkv.parts;
    layer.cross.cross_kv.parts = {parts[1], parts[2]};
    parts.resize(1);
  }
  const std::string last = prefix + (decoder ? ".layer.2" : ".layer.1");
  layer.before_mlp = t5_norm(builder, last + ".layer_norm", t5.shape);
  layer.mlp = t5_mlp(builder, last + ".DenseReluDense", t5);
  return layer;
}

nn::Stack t5_stack(Builder& builder, const std::string& name, const T5Config& t5, std::int64_t layers) {
  const bool decoder = name == "decoder";
  nn::Stack stack;
  for (std::int64_t i = 0; i < layers; ++i)
    stack.layers.push_back(t5_layer(builder, fmt::format("{}.block.{}", name, i), t5, decoder));
  stack.relative.table =
      builder.embedding(name + ".block.0.layer.0.SelfAttention.relative_attention_bias", t5.buckets, t5.shape.heads);
  stack.relative.buckets = t5.buckets, stack.relative.max_distance = t5.max_distance;
  stack.relative.bidirectional = !decoder;
  stack.final_norm = t5_norm(builder, name + ".final_layer_norm", t5.shape);
  return stack;
}

/// The one table of both stacks; old files hold it under the names of the stacks, too or only.
nn::Embedding t5_tokens(Builder& builder, const DecoderShape& shape) {
  std::string name = "shared";
  for (const char* other : {"encoder.embed_tokens", "decoder.embed_tokens"})
    if (!builder.has(name + ".weight") && builder.has(std::string(other) + ".weight")) name = other;
  return builder.embedding(name, shape.vocabulary, shape.width);
}

void build_t5(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  config.require_flag("is_encoder_decoder", true, "an encoder or a decoder of T5 alone is not computed");
  const T5Config t5 = read_t5(config);
  describe(t5.shape, info);
  // The stacks look tokens up under names of their own; nothing reads the table by the name it is stored under.
  network.input.tokens = network.decoder_tokens = t5_tokens(builder, t5.shape);
  network.input.tokens.name = "encoder.embed_tokens", network.decoder_tokens.name = "decoder.embed_tokens";
  network.idle = {"shared"};
  network.encoder = t5_stack(builder, "encoder", t5, t5.shape.layers);
  network.decoder = t5_stack(builder, "decoder", t5, t5.decoder_layers);
  // Whatever tie_word_embeddings says, a head in the file is used and otherwise the table is the head; the flag only
  // decides about the scale.
  network.head = builder.head_or_tied("lm_head", network.input.tokens);
  if (t5.scaled) network.logit_scale = 1.0 / std::sqrt(static_cast<double>(t5.shape.width));
}

}  // namespace

/// T5 and T5 v1.1 (Raffel et al. 2020, arXiv 1910.10683), FLAN-T5 (Chung et al. 2022, arXiv 2210.11416).
Family t5_family() {
  return {"t5", Kind::kSeq2Seq, {"T5ForConditionalGeneration", "T5WithLMHeadModel", "T5Model"}, build_t5};
}

}  // namespace weft::model
