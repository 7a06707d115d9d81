#include "nn/mix_plan.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "nn/products.h"

namespace weft::nn {
namespace {

/// A gap of this many columns between experts in use is cheaper to multiply by zero than to step over.
constexpr std::int64_t kBridgedColumns = 16;
/// Segments of a part beyond this many are joined, whatever lies between them.
constexpr size_t kMostSegments = 4;
/// What a product of its own costs beside its arithmetic, in multiplications.
constexpr std::int64_t kProductCost = 100'000;

bool is_used(const SiteWeights& weights, const std::vector<std::int64_t>& tokens, std::int64_t expert) {
  return std::any_of(tokens.begin(), tokens.end(),
                     [&](std::int64_t token) { return weights.of_token(token)[expert] != 0.0f; });
}

void add_segments(const ModuleExperts& part, const SiteWeights& weights, size_t index,
                  const std::vector<std::int64_t>& tokens, MixPlan& plan) {
  std::vector<MixSegment> segments;
  for (std::int64_t e = 0; e < weights.experts(); ++e) {
    const std::int64_t row = part.starts[static_cast<size_t>(e)], next = part.starts[static_cast<size_t>(e) + 1];
    if (next == row || !is_used(weights, tokens, e)) continue;
    const bool near = !segments.empty() && row - (segments.back().row + segments.back().count) <= kBridgedColumns;
    if (near || segments.size() == kMostSegments) {
      segments.back().last = e + 1;
      segments.back().count = next - segments.back().row;
    } else {
      segments.push_back({index, segments.size(), e, e + 1, row, next - row, 0, 0});
    }
  }
  plan.segments.insert(plan.segments.end(), segments.begin(), segments.end());
}

/// `tokens`: one of each kind in [begin, end).
MixPlan plan_of(const Mixing& mixing, std::int64_t begin, std::int64_t end, const std::vector<std::int64_t>& tokens) {
  MixPlan plan{begin, end, {}, {}, 0};
  std::int64_t part_row = 0;
  for (size_t p = 0; p < mixing.experts->parts.size(); ++p) {
    const auto& part = mixing.experts->parts[p];
    if (!mixing.weights[p].present() || part.rank_sum() == 0) continue;
    const size_t before = plan.segments.size();
    add_segments(part, mixing.weights[p], p, tokens, plan);
    for (size_t i = before; i < plan.segments.size(); ++i) plan.segments[i].group_row = part_row + plan.segments[i].row;
    part_row += part.rank_sum();
  }
  plan.arrange();
  return plan;
}

/// Where stretches of neighbouring tokens with the same weights begin.
std::vector<std::int64_t> stretch_begins(const Mixing& mixing, std::int64_t tokens) {
  std::vector<std::int64_t> begins = {0};
  const auto differs = [&](std::int64_t t) {
    return std::any_of(mixing.weights.begin(), mixing.weights.end(), [&](const SiteWeights& weights) {
      return weights.present() && weights.row_of(t) != weights.row_of(t - 1);
    });
  };
  for (std::int64_t t = 1; t < tokens; ++t)
    if (differs(t)) begins.push_back(t);
  return begins;
}

}  // namespace

void MixPlan::arrange() {
  stretches.clear();
  columns = 0;
  for (auto& segment : segments) {
    segment.column = columns;
    columns += segment.count;
    if (!stretches.empty() && stretches.back().row + stretches.back().count == segment.group_row)
      stretches.back().count += segment.count;
    else
      stretches.push_back({segment.group_row, segment.count, segment.column});
  }
}

bool Mixing::records() const {
  if (experts == nullptr) return false;
  if (nn::records(experts->a)) return true;
  for (const auto& part : experts->parts)
    if (nn::records(part.a) || nn::records(part.b) || nn::records(part.bias)) return true;
  return std::any_of(weights.begin(), weights.end(),
                     [](const SiteWeights& site) { return site.present() && nn::records(site.tensor()); });
}

std::vector<MixPlan> plan_mixing(const Mixing& mixing, std::int64_t tokens, std::int64_t in, bool few) {
  if (mixing.experts == nullptr || !mixing.experts->a.defined() || tokens == 0) return {};
  const auto begins = stretch_begins(mixing, tokens);
  MixPlan all = plan_of(mixing, 0, tokens, begins);
  if (all.columns == 0) return {};
  if (begins.size() == 1) return {std::move(all)};

  std::vector<MixPlan> apart;
  std::int64_t products = 0, columns = 0, out = 0;
  for (size_t i = 0; i < begins.size(); ++i) {
    const std::int64_t end = i + 1 < begins.size() ? begins[i + 1] : tokens;
    apart.push_back(plan_of(mixing, begins[i], end, {begins[i]}));
    products += static_cast<std::int64_t>(apart.back().stretches.size() + apart.back().segments.size());
    columns += (end - begins[i]) * apart.back().columns;
  }
  for (const auto& part : mixing.experts->parts)
    if (part.b.defined()) out = std::max(out, part.b.size(1));
  const bool better = few ? columns <= all.columns * std::max<std::int64_t>(1, tokens / 4)
                          : columns * (in + out) + products * kProductCost < all.columns * tokens * (in + out);
  if (better) return apart;
  return {std::move(all)};
}

}  // namespace weft::nn
