#include "model/initial_weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "weft/core/parallel.h"
#include "weft/core/random.h"

namespace weft::model {

namespace {

constexpr std::int64_t kDrawnAtOnce = std::int64_t{1} << 16;

Tensor draw_normal(const std::vector<std::int64_t>& shape, double deviation, std::uint64_t key) {
  Tensor out = at::empty(shape, at::kFloat);
  float* data = out.mutable_data_ptr<float>();
  const std::int64_t count = out.numel();
  const Philox random(key);
  parallel_for((count + kDrawnAtOnce - 1) / kDrawnAtOnce, 0, [&](std::int64_t part) {
    const std::int64_t end = std::min(count, (part + 1) * kDrawnAtOnce);
    for (std::int64_t i = part * kDrawnAtOnce; i < end; ++i)
      data[i] = static_cast<float>(deviation) * random.normal(static_cast<std::uint64_t>(i));
  });
  return out;
}

/// DistilBERT's fixed angles: sine in even columns, cosine in odd ones.
Tensor sinusoids(std::int64_t positions, std::int64_t width) {
  Tensor out = at::empty({positions, width}, at::kFloat);
  float* data = out.mutable_data_ptr<float>();
  for (std::int64_t p = 0; p < positions; ++p)
    for (std::int64_t i = 0; i < width; ++i) {
      const double angle =
          static_cast<double>(p) / std::pow(10000.0, static_cast<double>(i / 2 * 2) / static_cast<double>(width));
      data[p * width + i] = static_cast<float>(i % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  return out;
}

/// Where a family's config class has a padding token without being told; -1: none.
std::int64_t default_padding(const std::string& family) {
  static const std::map<std::string, std::int64_t> kDefaults = {{"bert", 0},   {"distilbert", 0}, {"roberta", 1},
                                                                {"opt", 1},    {"gemma2", 0},     {"gemma3_text", 0},
                                                                {"gemma3", 0}, {"phi3", 32000}};
  const auto at = kDefaults.find(family);
  return at == kDefaults.end() ? -1 : at->second;
}

}  // namespace

Tensor InitialWeights::draw(const std::string& name, const std::vector<std::int64_t>& shape, Role role,
                            const ConfigReader& config) const {
  const bool t5 = family_ == "t5";
  switch (role) {
    case Role::kBias:
    case Role::kScaleFromOne: return at::zeros(shape, at::kFloat);
    case Role::kScale: return at::full(shape, t5 ? config.number({"initializer_factor"}, 1.0) : 1.0, at::kFloat);
    case Role::kMatrix: return draw_normal(shape, deviation(name, config), hash_key(name, seed_));
    case Role::kTable: break;
  }
  if (family_ == "distilbert" && name.ends_with("position_embeddings.weight") &&
      config.flag({"sinusoidal_pos_embds"}, false))
    return sinusoids(shape[0], shape[1]);
  Tensor out = draw_normal(shape, deviation(name, config), hash_key(name, seed_));
  const std::int64_t row = padding_row(name, shape[0], config);
  if (row >= 0) out[row].zero_();
  return out;
}

double InitialWeights::deviation(const std::string& name, const ConfigReader& config) const {
  if (family_ == "t5") return t5_deviation(name, config);
  double out = config.number({"initializer_range", "init_std"}, 0.02);
  if (out == 0.0) out = 0.02;
  // Two residual paths a block add up: attention and feed-forward.
  if (family_ == "gpt2" && name.ends_with(".c_proj.weight"))
    out /= std::sqrt(2.0 * static_cast<double>(config.layers({"n_layer", "num_hidden_layers"}, 12)));
  return std::abs(out);
}

double InitialWeights::t5_deviation(const std::string& name, const ConfigReader& config) const {
  const auto size = [&](ConfigReader::Keys keys, std::int64_t fallback) {
    return static_cast<double>(config.integer(keys, fallback));
  };
  const double factor = std::abs(config.number({"initializer_factor"}, 1.0));
  const double width = size({"d_model", "hidden_size"}, 512), head = size({"d_kv", "head_dim"}, 64);
  if (name == "shared.weight") return factor;
  if (name.ends_with(".q.weight")) return factor / std::sqrt(width * head);
  if (name.ends_with(".o.weight")) return factor / std::sqrt(size({"num_heads", "num_attention_heads"}, 8) * head);
  if (name.ends_with(".wo.weight")) return factor / std::sqrt(size({"d_ff"}, 2048));
  return factor / std::sqrt(width);
}

std::int64_t InitialWeights::padding_row(const std::string& name, std::int64_t rows, const ConfigReader& config) const {
  const bool words = name.ends_with("embed_tokens.weight") ||
                     (name.ends_with("word_embeddings.weight") && family_ != "bloom") ||
                     (name.ends_with("position_embeddings.weight") && family_ == "roberta");
  if (!words) return -1;
  std::int64_t row = default_padding(family_);
  if (config.has("pad_token_id")) {
    const Value* given = config.find({"pad_token_id"});
    if (given == nullptr) return -1;
    row = config.integer({"pad_token_id"}, {}, 0);
  }
  return row < rows ? row : -1;
}

}  // namespace weft::model
