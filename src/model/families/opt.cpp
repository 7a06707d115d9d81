#include <fmt/format.h>

#include <utility>

#include "model/families/parts.h"
#include "model/family.h"

namespace weft::model {

namespace {

constexpr std::int64_t kOptPositionOffset = 2;

struct OptConfig {
  DecoderShape shape;
  std::int64_t embedding_width = 0;
  bool norm_first = true, affine = true;
  Presence bias = Presence::kRequired;
  nn::Activation activation = nn::Activation::kRelu;
};

OptConfig read_opt(const ConfigReader& config) {
  OptConfig out;
  out.shape.width = config.integer({"hidden_size"}, 768);
  out.shape.layers = config.layers({"num_hidden_layers"}, 12);
  out.shape.heads = config.integer({"num_attention_heads"}, 12);
  out.shape.feed_forward = config.integer({"ffn_dim"}, 3072);
  out.shape.vocabulary = config.integer({"vocab_size"}, 50272);
  out.shape.positions = config.integer({"max_position_embeddings"}, 2048);
  out.shape.eps = 1e-5;
  share_out_width(config, "num_attention_heads", out.shape);
  out.embedding_width = config.integer({"word_embed_proj_dim"}, out.shape.width);
  out.norm_first = config.flag({"do_layer_norm_before"}, true);
  out.affine = config.flag({"layer_norm_elementwise_affine"}, true);
  out.bias = config.flag({"enable_bias"}, true) ? Presence::kRequired : Presence::kNone;
  out.activation = read_activation(config, {"activation_function"}, "relu");
  return out;
}

nn::Norm opt_norm(Builder& builder, const std::string& name, const OptConfig& opt) {
  return opt.affine ? layer_norm(builder, name, opt.shape) : builder.plain_norm(name, opt.shape.width, opt.shape.eps);
}

nn::Layer opt_layer(Builder& builder, const OptConfig& opt, std::int64_t index) {
  const std::string prefix = fmt::format("model.decoder.layers.{}", index);
  const std::string attention = prefix + ".self_attn";
  nn::Layer layer;
  layer.order = opt.norm_first ? nn::Layer::Order::kPre : nn::Layer::Order::kPost;
  layer.attention = plain_attention(
      builder, {attention + ".q_proj", attention + ".k_proj", attention + ".v_proj", attention + ".out_proj"},
      opt.shape, opt.bias);
  layer.mlp = plain_mlp(builder, prefix + ".fc1", prefix + ".fc2", opt.shape, opt.activation, {opt.bias, false});
  (opt.norm_first ? layer.before_attention : layer.after_attention) =
      opt_norm(builder, prefix + ".self_attn_layer_norm", opt);
  (opt.norm_first ? layer.before_mlp : layer.after_mlp) = opt_norm(builder, prefix + ".final_layer_norm", opt);
  return layer;
}

void build_opt(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  const OptConfig opt = read_opt(config);
  const DecoderShape& shape = opt.shape;
  describe(shape, info);
  info.positions_end = true;
  nn::Input& input = network.input;
  input.tokens = builder.embedding("model.decoder.embed_tokens", shape.vocabulary, opt.embedding_width);
  input.positions =
      builder.embedding("model.decoder.embed_positions", shape.positions + kOptPositionOffset, shape.width);
  input.position_offset = kOptPositionOffset;
  if (opt.embedding_width != shape.width) {
    input.project = builder.group("model.decoder.project_in", shape.width, opt.embedding_width);
    network.project_out = builder.group("model.decoder.project_out", opt.embedding_width, shape.width);
  }
  for (std::int64_t i = 0; i < shape.layers; ++i) network.decoder.layers.push_back(opt_layer(builder, opt, i));
  if (opt.norm_first && !config.flag({"_remove_final_layer_norm"}, false))
    network.decoder.final_norm = opt_norm(builder, "model.decoder.final_layer_norm", opt);
  network.head = builder.head("lm_head", input.tokens, true);
}

}  // namespace

/// OPT (Zhang et al. 2022, arXiv 2205.01068): learned positions whose table begins with two unused rows.
Family opt_family() { return {"opt", Kind::kCausal, {"OPTForCausalLM", "OPTModel"}, build_opt}; }

}  // namespace weft::model
