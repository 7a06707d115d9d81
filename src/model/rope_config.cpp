#include "model/rope_config.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace weft::model {

namespace {

constexpr std::int64_t kWidestHead = 1 << 20;  // keeps a hostile config from claiming memory
constexpr std::string_view kKnownRopes = "default, linear, dynamic, llama3, yarn, longrope";

/// The parameters of one rope: what both layouts have in common.
struct RopeOptions {
  ConfigReader config;
  std::optional<ConfigReader> scaling;  // rope_scaling, rope_parameters or its entry for a kind of layer
  RopeSource source;

  double number(std::string_view key, std::optional<double> fallback = {}) const {
    return scaling ? scaling->number({key}, fallback) : *fallback;
  }
  /// The length in training: the config's own key wins, as in transformers.
  std::int64_t original() const {
    constexpr std::string_view kKey = "original_max_position_embeddings";
    if (source.original > 0) return source.original;
    if (config.find({kKey}) != nullptr) return config.integer({kKey});
    return scaling ? scaling->integer({kKey}, source.positions) : source.positions;
  }
};

/// The mapping that describes the rope of one kind of layer, if there is one.
std::optional<ConfigReader> rope_section(const ConfigReader& config, const RopeSource& source) {
  const auto old = config.map("rope_scaling");
  if (old && !old->value().map.empty() && source.scaled && old->find({source.layer_type}) == nullptr) return old;
  const auto both = config.map("rope_parameters");
  if (!both || source.layer_type.empty()) return both;
  return both->map(source.layer_type);
}

Tensor plain_frequencies(double theta, std::int64_t width) {
  const Tensor exponent = at::arange(0, width, 2, at::kLong).to(at::kFloat) / static_cast<double>(width);
  return 1.0 / at::pow(at::Scalar(theta), exponent).to(at::kFloat);
}

/// Llama 3.1: long waves are stretched, short ones kept, between them a blend.
Tensor llama3_frequencies(const RopeOptions& options, const Tensor& plain) {
  const double factor = options.number("factor"), low = options.number("low_freq_factor"),
               high = options.number("high_freq_factor");
  if (!(high > low))
    options.scaling->fail("high_freq_factor", fmt::format("is {}, expected more than low_freq_factor", high));
  const auto old = static_cast<double>(options.original());
  const Tensor wave = 2 * std::numbers::pi / plain;
  Tensor out = at::where(wave > old / low, plain / factor, plain);
  const Tensor smooth = (old / wave - low) / (high - low);
  const Tensor blended = (1 - smooth) * out / factor + smooth * out;
  const Tensor medium = (wave < old / high).logical_not().logical_and((wave > old / low).logical_not());
  return at::where(medium, blended, out);
}

double yarn_scale(double factor, double mscale) { return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

/// YaRN's factor on cos and sin.
double yarn_attention(const RopeOptions& options, double factor) {
  if (options.scaling->find({"attention_factor"}) != nullptr) return options.number("attention_factor");
  const double mscale = options.number("mscale", 0.0), all = options.number("mscale_all_dim", 0.0);
  if (mscale != 0 && all != 0) return yarn_scale(factor, mscale) / yarn_scale(factor, all);
  return yarn_scale(factor, 1.0);
}

/// YaRN: a ramp over the dimensions between stretched and plain frequencies.
Tensor yarn_frequencies(const RopeOptions& options, double theta, std::int64_t width, double factor) {
  const auto or_default = [&](const char* key, double fallback) {
    const double value = options.number(key, fallback);
    return value == 0 ? fallback : value;
  };
  const auto old = static_cast<double>(options.original());
  const auto dimension = [&](double rotations) {
    return static_cast<double>(width) * std::log(old / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  double low = dimension(or_default("beta_fast", 32.0)), high = dimension(or_default("beta_slow", 1.0));
  if (options.scaling->flag({"truncate"}, true)) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, static_cast<double>(width - 1));
  if (low == high) high += 0.001;
  const Tensor plain = plain_frequencies(theta, width);
  const Tensor ramp = ((at::arange(width / 2, at::kFloat) - low) / (high - low)).clamp(0, 1);
  return plain / factor * ramp + plain * (1 - ramp);
}

void read_longrope(const RopeOptions& options, nn::Rope& rope) {
  const Tensor plain = rope.frequencies;
  const auto stretched = [&](const char* key) {
    const std::vector<double> factors = options.scaling->numbers(key, rope.width / 2);
    return (plain / at::tensor(at::ArrayRef<double>(factors), at::kDouble).to(at::kFloat)).contiguous();
  };
  rope.frequencies = stretched("short_factor");
  rope.long_frequencies = stretched("long_factor");
  rope.original = options.original();
  const auto old = static_cast<double>(rope.original);
  const double factor = options.number("factor", static_cast<double>(options.source.positions) / old);
  const double usual = factor <= 1 ? 1.0 : std::sqrt(1 + std::log(factor) / std::log(old));
  rope.attention_factor = options.number("attention_factor", usual);
}

nn::Rope::Kind rope_kind(const RopeOptions& options) {
  using RopeKind = nn::Rope::Kind;
  if (!options.scaling) return RopeKind::kDefault;
  // Where kinds of layers have ropes of their own, transformers lays `rope_scaling` over a default that has a
  // `rope_type`.
  const bool laid_over =
      !options.source.layer_type.empty() && options.source.scaled && options.config.find({"rope_scaling"}) != nullptr;
  const std::string name = laid_over ? options.scaling->text({"rope_type"}, "default")
                                     : options.scaling->text({"rope_type", "type"}, "default");
  if (name == "default") return RopeKind::kDefault;
  if (options.source.long_only && (name == "yarn" || name == "su" || name == "longrope")) return RopeKind::kLongRope;
  if (options.source.long_only)
    options.scaling->refuse(options.scaling->has("rope_type") ? "rope_type" : "type",
                            fmt::format("unknown rope scaling '{}' of this family; known are default, longrope", name));
  if (name == "linear") return RopeKind::kLinear;
  if (name == "dynamic") return RopeKind::kDynamic;
  if (name == "llama3") return RopeKind::kLlama3;
  if (name == "yarn") return RopeKind::kYarn;
  if (name == "longrope" || name == "su") return RopeKind::kLongRope;
  options.scaling->refuse(options.scaling->has("rope_type") ? "rope_type" : "type",
                          fmt::format("unknown rope scaling '{}'; known are {}", name, kKnownRopes));
}

}  // namespace

nn::Rope read_rope(const ConfigReader& config, const RopeSource& source) {
  const RopeOptions options{config, rope_section(config, source), source};
  nn::Rope rope;
  rope.kind = rope_kind(options);
  rope.theta = config.positive({source.theta_key}, source.theta);
  double partial = source.partial_key.empty() ? 1.0 : config.positive({source.partial_key}, source.partial);
  if (options.scaling) rope.theta = options.scaling->positive({"rope_theta"}, rope.theta);
  if (options.scaling && !source.partial_key.empty())
    partial = options.scaling->positive({"partial_rotary_factor"}, partial);
  rope.width = static_cast<std::int64_t>(static_cast<double>(source.head_dim) * std::min(partial, 2.0));
  // transformers turns one dimension more where the share is odd and the frequencies do not depend on the width again.
  using RopeKind = nn::Rope::Kind;
  const bool even = rope.kind == RopeKind::kDynamic || rope.kind == RopeKind::kYarn || rope.kind == RopeKind::kLongRope;
  if (rope.width < 1 || (even && rope.width % 2 != 0) || rope.width + rope.width % 2 > source.head_dim)
    throw FormatError(config.file(),
                      fmt::format("the rotary embedding would turn {} of {} dimensions of a head, expected "
                                  "{} of at least 1",
                                  rope.width, source.head_dim, even ? "an even number" : "a number"));
  if (rope.width > kWidestHead)
    throw FormatError(config.file(), fmt::format("a head of {} dimensions is more than the {} that are computed",
                                                 source.head_dim, kWidestHead));
  rope.frequencies = plain_frequencies(rope.theta, rope.width);
  rope.width = 2 * rope.frequencies.size(0);
  const auto factor = [&] {
    const double value = options.scaling->positive({"factor"});
    if (value < 1) options.scaling->fail("factor", fmt::format("is {}, expected at least 1", value));
    return value;
  };
  switch (rope.kind) {
    case nn::Rope::Kind::kDefault: break;
    case nn::Rope::Kind::kLinear: rope.frequencies = rope.frequencies / factor(); break;
    case nn::Rope::Kind::kDynamic:
      if (rope.width == 2) options.scaling->fail("factor", "dynamic scaling needs more than two rotated dimensions");
      rope.factor = factor();
      rope.original = source.positions;
      break;
    case nn::Rope::Kind::kLlama3: rope.frequencies = llama3_frequencies(options, rope.frequencies); break;
    case nn::Rope::Kind::kYarn:
      rope.attention_factor = yarn_attention(options, factor());
      rope.frequencies = yarn_frequencies(options, rope.theta, rope.width, factor());
      break;
    case nn::Rope::Kind::kLongRope: read_longrope(options, rope); break;
  }
  return rope;
}

}  // namespace weft::model
