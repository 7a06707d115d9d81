#include "model/families/encoder_parts.h"

#include <fmt/format.h>

#include <utility>

namespace weft::model {

namespace {

constexpr std::string_view kSingleLabel = "single_label_classification";

/// Why the head of a config gives no class logits, or empty.
std::string why_no_classes(const ConfigReader& config, const ModelInfo& info) {
  const std::string type = config.text({"problem_type"}, std::string(kSingleLabel));
  if (type == "regression" || type == "multi_label_classification")
    return fmt::format("problem_type is '{}', only {} is computed", type, kSingleLabel);
  if (type != kSingleLabel) config.refuse("problem_type", fmt::format("unknown '{}'; known is {}", type, kSingleLabel));
  if (info.labels.size() == 1) return "one label makes it a regression, only classes are computed";
  return {};
}

nn::Layer bert_layer(Builder& builder, const std::string& prefix, const DecoderShape& shape,
                     nn::Activation activation) {
  const std::string self = prefix + ".attention.self", out = prefix + ".attention.output";
  nn::Layer layer;
  layer.order = nn::Layer::Order::kPost;
  layer.attention = plain_attention(builder, {self + ".query", self + ".key", self + ".value", out + ".dense"}, shape,
                                    Presence::kRequired);
  layer.attention.causal = false;
  layer.after_attention = layer_norm(builder, out + ".LayerNorm", shape);
  layer.mlp = plain_mlp(builder, prefix + ".intermediate.dense", prefix + ".output.dense", shape, activation);
  layer.after_mlp = layer_norm(builder, prefix + ".output.LayerNorm", shape);
  return layer;
}

}  // namespace

std::string encoder_prefix(const Builder& builder, const std::string& prefix, const std::string& headless) {
  return builder.architecture() == headless ? std::string() : prefix;
}

void build_classifier(Builder& builder, const HeadNames& names, const DecoderShape& shape, nn::Network& network,
                      ModelInfo& info) {
  const std::string& architecture = builder.architecture();
  const bool wanted = architecture.empty() ? builder.has(names.out + ".weight") && builder.has(names.dense + ".weight")
                                           : architecture.ends_with("ForSequenceClassification");
  // Adapters trained with a pooler or a head may be used without one: sentence embeddings read neither.
  network.idle = {"pooler.dense", "classifier", "classifier.dense", "classifier.out_proj", "pre_classifier"};
  if (!wanted) return;
  nn::Classifier& head = network.classifier;
  head.why_absent = why_no_classes(builder.config(), info);
  if (!head.why_absent.empty()) {
    info.warnings.push_back("the classification head is left out: " + head.why_absent);
    return;
  }
  head.dense = builder.group(names.dense, shape.width, shape.width, Presence::kRequired);
  head.activation = names.activation;
  head.out = builder.group(names.out, static_cast<std::int64_t>(info.labels.size()), shape.width, Presence::kRequired);
  std::erase_if(network.idle,
                [&](const std::string& name) { return name != "pooler.dense" || names.dense.ends_with(name); });
}

BertOptions read_bert(const Builder& builder, const std::string& family, const std::string& headless) {
  const ConfigReader& config = builder.config();
  config.require_flag("is_decoder", false, "this family is computed as an encoder only");
  config.require_flag("add_cross_attention", false, "cross-attention to another model is not computed");
  const std::string positions = config.text({"position_embedding_type"}, "absolute");
  if (positions != "absolute")
    config.refuse("position_embedding_type", fmt::format("'{}' is not computed; known is absolute", positions));
  BertOptions out;
  out.prefix = encoder_prefix(builder, family + ".", headless);
  DecoderShape& shape = out.shape;
  shape.width = config.integer({"hidden_size"}, 768);
  shape.layers = config.layers({"num_hidden_layers"}, 12);
  shape.heads = config.integer({"num_attention_heads"}, 12);
  shape.feed_forward = config.integer({"intermediate_size"}, 3072);
  shape.vocabulary = config.integer({"vocab_size"}, family == "bert" ? 30522 : 50265);
  shape.positions = config.integer({"max_position_embeddings"}, 512);
  shape.eps = config.positive({"layer_norm_eps"}, 1e-12);
  share_out_width(config, "num_attention_heads", shape);
  return out;
}

void build_bert_encoder(Builder& builder, const BertOptions& options, nn::Network& network) {
  const ConfigReader& config = builder.config();
  const DecoderShape& shape = options.shape;
  const std::string table = options.prefix + "embeddings.";
  const nn::Activation activation = read_activation(config, {"hidden_act"}, "gelu");
  nn::Input& input = network.input;
  input.tokens = builder.embedding(table + "word_embeddings", shape.vocabulary, shape.width);
  input.positions = builder.embedding(table + "position_embeddings", shape.positions, shape.width);
  input.types = builder.embedding(table + "token_type_embeddings", config.integer({"type_vocab_size"}, 2), shape.width);
  input.norm = layer_norm(builder, table + "LayerNorm", shape);
  for (std::int64_t i = 0; i < shape.layers; ++i)
    network.encoder.layers.push_back(
        bert_layer(builder, fmt::format("{}encoder.layer.{}", options.prefix, i), shape, activation));
}

}  // namespace weft::model
