#include <fmt/format.h>

#include "model/families/encoder_parts.h"
#include "model/family.h"

namespace weft::model {

namespace {

DecoderShape read_distilbert_shape(const ConfigReader& config) {
  DecoderShape shape;
  shape.width = config.integer({"dim", "hidden_size"}, 768);
  shape.layers = config.layers({"n_layers", "num_hidden_layers"}, 6);
  shape.heads = config.integer({"n_heads", "num_attention_heads"}, 12);
  shape.feed_forward = config.integer({"hidden_dim"}, 3072);
  shape.vocabulary = config.integer({"vocab_size"}, 30522);
  shape.positions = config.integer({"max_position_embeddings"}, 512);
  shape.eps = 1e-12;
  share_out_width(config, "n_heads", shape);
  return shape;
}

nn::Layer distilbert_layer(Builder& builder, const std::string& prefix, const DecoderShape& shape,
                           nn::Activation activation) {
  const std::string attention = prefix + ".attention";
  nn::Layer layer;
  layer.order = nn::Layer::Order::kPost;
  layer.attention = plain_attention(
      builder, {attention + ".q_lin", attention + ".k_lin", attention + ".v_lin", attention + ".out_lin"}, shape,
      Presence::kRequired);
  layer.attention.causal = false;
  layer.after_attention = layer_norm(builder, prefix + ".sa_layer_norm", shape);
  layer.mlp = plain_mlp(builder, prefix + ".ffn.lin1", prefix + ".ffn.lin2", shape, activation);
  layer.after_mlp = layer_norm(builder, prefix + ".output_layer_norm", shape);
  return layer;
}

void build_distilbert(Builder& builder, nn::Network& network, ModelInfo& info) {
  const ConfigReader& config = builder.config();
  const DecoderShape shape = read_distilbert_shape(config);
  describe(shape, info);
  info.positions_end = true;
  const nn::Activation activation = read_activation(config, {"activation"}, "gelu");
  const std::string prefix = encoder_prefix(builder, "distilbert.", "DistilBertModel");
  nn::Input& input = network.input;
  input.tokens = builder.embedding(prefix + "embeddings.word_embeddings", shape.vocabulary, shape.width);
  input.positions = builder.embedding(prefix + "embeddings.position_embeddings", shape.positions, shape.width);
  input.norm = layer_norm(builder, prefix + "embeddings.LayerNorm", shape);
  for (std::int64_t i = 0; i < shape.layers; ++i)
    network.encoder.layers.push_back(
        distilbert_layer(builder, fmt::format("{}transformer.layer.{}", prefix, i), shape, activation));
  build_classifier(builder, {"pre_classifier", "classifier", nn::Activation::kRelu}, shape, network, info);
}

}  // namespace

/// DistilBERT (Sanh et al. 2019, arXiv 1910.01108): BERT without token types and pooler.
Family distilbert_family() {
  return {"distilbert",
          Kind::kEncoder,
          {"DistilBertModel", "DistilBertForSequenceClassification", "DistilBertForMaskedLM"},
          build_distilbert};
}

}  // namespace weft::model
