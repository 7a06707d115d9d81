#pragma once

#include <cstdint>
#include <string>

#include "model/families/decoder_parts.h"

namespace weft::model {

/// Puts kv_heads and head_dim into a shape whose heads share out its width; throws FormatError at `heads_key` where
/// they cannot.
void share_out_width(const ConfigReader& config, std::string_view heads_key, DecoderShape& shape);

/// How the linears of a family are called and stored.
struct LinearStyle {
  Presence bias = Presence::kRequired;
  bool transposed = false;
};

/// Attention with one projection for queries, keys and values.
nn::Attention fused_attention(Builder& builder, const std::string& qkv, const std::string& out,
                              const DecoderShape& shape, nn::QkvLayout layout, const LinearStyle& style);

/// Names of four linears of one attention.
struct AttentionNames {
  std::string q, k, v, out;
};
/// Attention over separate projections, all heads reading their own keys; scaled by 1 / sqrt(head_dim).
nn::Attention plain_attention(Builder& builder, const AttentionNames& names, const DecoderShape& shape, Presence bias);
/// down(activation(up(x))).
nn::Mlp plain_mlp(Builder& builder, const std::string& up, const std::string& down, const DecoderShape& shape,
                  nn::Activation activation, const LinearStyle& style = {});
/// LayerNorm with weight and bias.
nn::Norm layer_norm(Builder& builder, const std::string& name, const DecoderShape& shape);

}  // namespace weft::model
