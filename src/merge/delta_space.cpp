#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "linalg/random_svd.h"
#include "merge/entrywise.h"
#include "merge/rank.h"
#include "merge/spaces.h"

namespace weft::merge {

namespace {

/// ‖Σ scale b a‖ from the stacked factors, in float64.
double stacked_norm(const linalg::Factored& f) {
  const Tensor gram_b = at::mm(f.b.t(), f.b).to(at::kDouble), gram_a = at::mm(f.a, f.a.t()).to(at::kDouble);
  return std::sqrt(std::max(0.0, (gram_b * gram_a).sum().item<double>()));
}

linalg::Factored weighted_sum(const std::vector<Part>& parts, const BlockContext& context) {
  const std::vector<double> weights = sum_weights(context.spec, context.coefficients);
  const std::int64_t out = parts[0].update.b.size(0), in = parts[0].update.a.size(1);
  std::vector<linalg::Term> terms;
  std::int64_t stacked = 0, largest = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const adapter::LowRank& u = parts[i].update;
    largest = std::max(largest, u.a.size(0));
    if (weights[i] == 0 || u.scale == 0) continue;
    terms.push_back({u.b, u.a, weights[i] * u.scale});
    stacked += u.a.size(0);
  }
  if (terms.empty()) return {at::zeros({out, 1}, at::kFloat), at::zeros({1, in}, at::kFloat), 0.0, 0.0};
  const RankRule& rule = context.coefficients.rank;
  const std::int64_t wanted = wanted_rank(rule, largest, out, in);
  const bool fits = wanted > 0 ? stacked <= wanted : (wanted == 0 && stacked <= std::min(out, in));
  if (!fits) return linalg::truncate_sum(terms, rank_choice(rule, wanted));
  linalg::Factored f = linalg::stack(terms);
  f.norm = stacked_norm(f);
  return f;
}

std::vector<EntrywiseTerm> entrywise_terms(const std::vector<Part>& parts, const Coefficients& c) {
  std::vector<EntrywiseTerm> terms;
  for (size_t i = 0; i < parts.size(); ++i) {
    const adapter::LowRank& u = parts[i].update;
    terms.push_back({linalg::FactoredRows(u.b, u.a, u.scale), c.shares[i].weight, c.shares[i].density, parts[i].key});
  }
  return terms;
}

linalg::Factored entrywise(const std::vector<Part>& parts, const BlockContext& context) {
  std::int64_t largest = 0;
  for (const Part& p : parts) largest = std::max(largest, p.update.a.size(0));
  const EntrywiseMerge merged(entrywise_terms(parts, context.coefficients), context.spec, context.coefficients.factor,
                              context.threads);
  const RankRule& rule = context.coefficients.rank;
  const std::int64_t wanted = wanted_rank(rule, largest, merged.rows(), merged.cols());
  if (wanted > 0) return linalg::random_svd(merged, {wanted, context.memory, context.threads});
  return linalg::truncate_dense(linalg::materialize(merged, context.threads), rank_choice(rule, wanted));
}

}  // namespace

linalg::Factored merge_in_delta_space(const std::vector<Part>& parts, const BlockContext& context) {
  return is_weighted_sum(context.spec, context.coefficients) ? weighted_sum(parts, context) : entrywise(parts, context);
}

Tensor merge_bias(const std::vector<Tensor>& biases, const std::vector<double>& scales,
                  const std::vector<std::string>& keys, const BlockContext& context) {
  const Tensor one = at::ones({1, 1}, at::kFloat);
  if (is_weighted_sum(context.spec, context.coefficients)) {
    const std::vector<double> weights = sum_weights(context.spec, context.coefficients);
    Tensor sum = at::zeros_like(biases[0], at::kDouble);
    for (size_t i = 0; i < biases.size(); ++i) sum += biases[i].to(at::kDouble) * (weights[i] * scales[i]);
    return sum.to(at::kFloat);
  }
  std::vector<EntrywiseTerm> terms;
  for (size_t i = 0; i < biases.size(); ++i) {
    const Share& s = context.coefficients.shares[i];
    terms.push_back({linalg::FactoredRows(biases[i].reshape({-1, 1}), one, scales[i]), s.weight, s.density, keys[i]});
  }
  const EntrywiseMerge merged(std::move(terms), context.spec, context.coefficients.factor, 1);
  return linalg::materialize(merged, 1).reshape({-1});
}

}  // namespace weft::merge
