#include "merge/coefficients.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>

namespace weft::merge {

namespace {

struct Numbered {
  std::string prefix;
  int number = -1;
};

/// Splits `model.layers.12.mlp` at its first numeric component.
Numbered first_number(const std::string& name) {
  for (size_t start = 0; start < name.size();) {
    const size_t end = std::min(name.find('.', start), name.size());
    const bool digits =
        end > start && end - start <= 6 &&
        std::all_of(name.begin() + static_cast<std::ptrdiff_t>(start), name.begin() + static_cast<std::ptrdiff_t>(end),
                    [](unsigned char c) { return std::isdigit(c) != 0; });
    if (digits) return {name.substr(0, start), std::atoi(name.c_str() + start)};
    start = end + 1;
  }
  return {};
}

double density_at(const MergeSpec& spec, size_t adapter, const ModulePosition& at) {
  if (spec.sparsify == Sparsify::kNone) return 1.0;
  double value = 0.5;
  if (adapter < spec.adapters.size() && first_match(spec.adapters[adapter].density, at, value) != nullptr) return value;
  if (first_match(spec.density, at, value) != nullptr) return value;
  return 0.5;
}

double normalizer(const MergeSpec& spec, const ModulePosition& at, const std::vector<int>& owners, size_t adapters) {
  if (!spec.normalize) return 1.0;
  double sum = 0, magnitude = 0;
  const auto add = [&](size_t i) {
    const double w = raw_weight(spec, i, at);
    sum += w;
    magnitude += std::fabs(w);
  };
  if (spec.missing == Missing::kZero)
    for (size_t i = 0; i < adapters; ++i) add(i);
  else
    for (const int i : owners) add(static_cast<size_t>(i));
  if (std::fabs(sum) <= 1e-6 * magnitude || magnitude == 0)
    throw UsageError(
        fmt::format("normalize: the weights at module {} sum to {:.3g}, and dividing by about zero means nothing; "
                    "change the weights or leave normalize off",
                    at.name, sum));
  return sum;
}

}  // namespace

LayerMap::LayerMap(const std::vector<adapter::PoolModule>& modules) {
  for (const adapter::PoolModule& m : modules) {
    const Numbered n = first_number(m.info.name);
    if (n.number < 0) continue;
    int& layers = layers_[n.prefix];
    layers = std::max(layers, n.number + 1);
  }
}

ModulePosition LayerMap::locate(const std::string& module) const {
  const Numbered n = first_number(module);
  const auto found = layers_.find(n.prefix);
  if (n.number < 0 || found == layers_.end()) return {module, -1, 0};
  return {module, n.number, found->second};
}

double raw_weight(const MergeSpec& spec, size_t adapter, const ModulePosition& at) {
  double value = 1.0;
  if (adapter < spec.adapters.size() && first_match(spec.adapters[adapter].weight, at, value) != nullptr) return value;
  if (first_match(spec.weight, at, value) != nullptr) return value;
  return 1.0;
}

Coefficients coefficients_at(const MergeSpec& spec, const ModulePosition& at, const std::vector<int>& owners,
                             size_t adapters) {
  Coefficients out;
  const double divisor = normalizer(spec, at, owners, adapters);
  double counted = 0, weighed = 0;
  for (size_t i = 0; i < adapters; ++i) {
    const bool owner = std::find(owners.begin(), owners.end(), static_cast<int>(i)) != owners.end();
    const double weight = raw_weight(spec, i, at) / divisor;
    if (owner) out.shares.push_back({static_cast<int>(i), weight, density_at(spec, i, at)});
    if (owner || spec.missing == Missing::kZero) counted += 1, weighed += std::fabs(weight);
  }
  double lambda = 1.0;
  if (first_match(spec.scale, at, lambda) == nullptr) lambda = 1.0;
  out.factor = lambda;
  if (spec.combine == Combine::kMean && spec.consensus == Consensus::kNone) {
    const double by = spec.divisor == Divisor::kWeight ? weighed : counted;
    out.factor = by > 0 ? lambda / by : 0.0;
  }
  if (first_match(spec.rank, at, out.rank) == nullptr) out.rank = RankRule{RankRule::Kind::kKeep, 0};
  return out;
}

bool is_weighted_sum(const MergeSpec& spec, const Coefficients& c) {
  const bool dense = std::all_of(c.shares.begin(), c.shares.end(), [](const Share& s) { return s.density >= 1.0; });
  return dense && (spec.consensus == Consensus::kNone || c.shares.size() == 1);
}

std::vector<double> sum_weights(const MergeSpec& spec, const Coefficients& c) {
  std::vector<double> out;
  // A lone voter always agrees with itself; a mean by weights then leaves only the sign of its own.
  const bool lone_mean =
      spec.consensus != Consensus::kNone && spec.combine == Combine::kMean && spec.divisor == Divisor::kWeight;
  for (const Share& s : c.shares) {
    const double weight = lone_mean ? (s.weight > 0) - (s.weight < 0) : s.weight;
    out.push_back(weight * c.factor);
  }
  return out;
}

}  // namespace weft::merge
