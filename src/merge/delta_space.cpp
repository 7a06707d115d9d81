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
  const double squared = (gram_b * gram_a).sum().item<double>();
  return std::sqrt(squared < 0 ? 0.0 : squared);  // a NaN stays one, and is refused
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

bool any_dense(const std::vector<Part>& parts) {
  return std::any_of(parts.begin(), parts.end(), [](const Part& p) { return p.dense.defined(); });
}

std::int64_t largest_rank(const std::vector<Part>& parts) {
  std::int64_t largest = 0;
  for (const Part& p : parts) largest = std::max(largest, p.update.a.size(0));
  return largest;
}

/// A matrix of full rank as factors without any arithmetic: itself and the identity of its shorter side, both sides
/// near each other in size (by a power of two) so that narrow dtypes hold both.
linalg::Factored whole(const Tensor& m) {
  linalg::Factored out;
  out.norm = at::linalg_vector_norm(m, 2, at::OptionalIntArrayRef(), false, at::kDouble).item<double>();
  const double largest = m.abs().max().item<double>();
  const double root = largest > 0 ? std::exp2(std::round(std::log2(largest) / 2)) : 1.0;
  const bool tall = m.size(0) >= m.size(1);
  const Tensor eye = at::eye(std::min(m.size(0), m.size(1)), at::kFloat) * root;
  out.b = tall ? m / root : eye;
  out.a = tall ? eye : m / root;
  return out;
}

/// A weighted sum in which some updates have dense parts: all factors stacked, all dense parts added up.
linalg::Factored dense_weighted_sum(const std::vector<Part>& parts, const BlockContext& context) {
  const std::vector<double> weights = sum_weights(context.spec, context.coefficients);
  std::vector<linalg::Term> terms;
  Tensor dense = at::zeros({parts[0].update.b.size(0), parts[0].update.a.size(1)}, at::kFloat);
  for (size_t i = 0; i < parts.size(); ++i) {
    const adapter::LowRank& u = parts[i].update;
    terms.push_back({u.b, u.a, weights[i] * u.scale});
    if (parts[i].dense.defined()) dense.add_(parts[i].dense, weights[i]);
  }
  const linalg::Factored low = linalg::stack(terms);
  MergeSpec only = context.spec;  // weights and divisors are in the one term already
  only.sparsify = Sparsify::kNone;
  only.consensus = Consensus::kNone;
  std::vector<EntrywiseTerm> term;
  term.push_back({linalg::FactoredRows(low.b, low.a, 1.0, dense), 1.0, 1.0, ""});
  const EntrywiseMerge sum(std::move(term), only, 1.0, context.threads);
  const RankRule& rule = context.coefficients.rank;
  const std::int64_t wanted = wanted_rank(rule, largest_rank(parts), sum.rows(), sum.cols());
  if (wanted > 0) return linalg::random_svd(sum, {wanted, context.memory, context.threads, {}});
  const Tensor m = linalg::materialize(sum, context.threads);
  return wanted == 0 ? whole(m) : linalg::truncate_dense(m, rank_choice(rule, wanted));
}

std::vector<EntrywiseTerm> entrywise_terms(const std::vector<Part>& parts, const Coefficients& c) {
  std::vector<EntrywiseTerm> terms;
  for (size_t i = 0; i < parts.size(); ++i) {
    const adapter::LowRank& u = parts[i].update;
    terms.push_back({linalg::FactoredRows(u.b, u.a, u.scale, parts[i].dense), c.shares[i].weight, c.shares[i].density,
                     parts[i].key});
  }
  return terms;
}

/// The leading right singular vectors of the plain weighted sum, [in, k]: sparsifying and electing turn them only a
/// little. Undefined where finding them would cost more than they save.
Tensor likely_rows(const std::vector<Part>& parts, const BlockContext& context, std::int64_t wanted) {
  std::vector<linalg::Term> terms;
  std::int64_t stacked = 0;
  for (const Part& p : parts) stacked += p.update.a.size(0);
  if (4 * stacked > std::min(parts[0].update.b.size(0), parts[0].update.a.size(1))) return {};
  for (size_t i = 0; i < parts.size(); ++i)
    terms.push_back(
        {parts[i].update.b, parts[i].update.a, context.coefficients.shares[i].weight * parts[i].update.scale});
  const auto enough = [wanted](const std::vector<double>& sigma, double) {
    return std::min<std::int64_t>(2 * wanted, static_cast<std::int64_t>(sigma.size()));
  };
  return linalg::truncate_sum(terms, enough).a.t();
}

linalg::Factored entrywise(const std::vector<Part>& parts, const BlockContext& context) {
  const EntrywiseMerge merged(entrywise_terms(parts, context.coefficients), context.spec, context.coefficients.factor,
                              context.threads);
  const RankRule& rule = context.coefficients.rank;
  const std::int64_t wanted = wanted_rank(rule, largest_rank(parts), merged.rows(), merged.cols());
  if (wanted > 0)
    return linalg::random_svd(merged, {wanted, context.memory, context.threads, likely_rows(parts, context, wanted)});
  return linalg::truncate_dense(linalg::materialize(merged, context.threads), rank_choice(rule, wanted));
}

}  // namespace

linalg::Factored merge_in_delta_space(const std::vector<Part>& parts, const BlockContext& context) {
  if (!is_weighted_sum(context.spec, context.coefficients)) return entrywise(parts, context);
  return any_dense(parts) ? dense_weighted_sum(parts, context) : weighted_sum(parts, context);
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
