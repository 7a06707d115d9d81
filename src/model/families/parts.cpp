#include "model/families/parts.h"

#include <fmt/format.h>

#include <cmath>

namespace weft::model {

void share_out_width(const ConfigReader& config, std::string_view heads_key, DecoderShape& shape) {
  if (shape.width % shape.heads != 0)
    config.fail(heads_key, fmt::format("is {}, which does not divide the width {}", shape.heads, shape.width));
  shape.kv_heads = shape.heads;
  shape.head_dim = shape.width / shape.heads;
}

nn::Attention fused_attention(Builder& builder, const std::string& qkv, const std::string& out,
                              const DecoderShape& shape, nn::QkvLayout layout, const LinearStyle& style) {
  nn::Attention attention;
  attention.heads = attention.kv_heads = shape.heads, attention.head_dim = shape.head_dim;
  attention.scale = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  attention.layout = layout;
  attention.qkv = builder.group(qkv, 3 * shape.width, shape.width, style.bias, style.transposed);
  attention.out = builder.group(out, shape.width, shape.width, style.bias, style.transposed);
  return attention;
}

nn::Attention plain_attention(Builder& builder, const AttentionNames& names, const DecoderShape& shape, Presence bias) {
  nn::Attention attention;
  attention.heads = attention.kv_heads = shape.heads, attention.head_dim = shape.head_dim;
  attention.scale = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  const std::int64_t inner = shape.heads * shape.head_dim;
  attention.qkv.parts = {builder.linear(names.q, inner, shape.width, bias),
                         builder.linear(names.k, inner, shape.width, bias),
                         builder.linear(names.v, inner, shape.width, bias)};
  attention.out = builder.group(names.out, shape.width, inner, bias);
  return attention;
}

nn::Mlp plain_mlp(Builder& builder, const std::string& up, const std::string& down, const DecoderShape& shape,
                  nn::Activation activation, const LinearStyle& style) {
  nn::Mlp mlp;
  mlp.activation = activation;
  mlp.up = builder.group(up, shape.feed_forward, shape.width, style.bias, style.transposed);
  mlp.down = builder.group(down, shape.width, shape.feed_forward, style.bias, style.transposed);
  return mlp;
}

nn::Norm layer_norm(Builder& builder, const std::string& name, const DecoderShape& shape) {
  return builder.norm(name, nn::Norm::Kind::kLayer, shape.width, shape.eps);
}

}  // namespace weft::model
