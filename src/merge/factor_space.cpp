// Merging A and B apart, as PEFT's factor-wise combination types do. Not invariant to the choice of factors, and the
// product of the merged factors carries cross terms B_i A_j that no adapter was trained for (huggingface/peft#3004).
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "merge/entrywise.h"
#include "merge/rank.h"
#include "merge/spaces.h"

namespace weft::merge {

namespace {

/// One factor of one adapter after sparsification, float32.
struct SideInput {
  Tensor value;
  double weight, density;
  double share;  // what a mean by weights divides by: the weight without the update's own scale
  std::string key;
};

Tensor sparsified(const SideInput& side, const MergeSpec& spec) {
  if (side.density >= 1.0 || spec.sparsify == Sparsify::kNone) return side.value;
  // I · X is X: the row machinery then serves dense factors too. A lone term with weight 1 and no election is just
  // sparsified.
  MergeSpec only = spec;
  only.consensus = Consensus::kNone;
  std::vector<EntrywiseTerm> term;
  term.push_back(
      {linalg::FactoredRows(at::eye(side.value.size(0), at::kFloat), side.value, 1.0), 1.0, side.density, side.key});
  return linalg::materialize(EntrywiseMerge(std::move(term), only, 1.0, 1), 1);
}

/// What each adapter contributes to the merged factor; their sum is the merged factor.
std::vector<Tensor> contributions(const std::vector<SideInput>& sides, const MergeSpec& spec) {
  std::vector<Tensor> values, out;
  for (const SideInput& s : sides) values.push_back(sparsified(s, spec));
  if (spec.consensus == Consensus::kNone) {
    for (size_t i = 0; i < sides.size(); ++i) out.push_back(values[i] * sides[i].weight);
    return out;
  }
  Tensor vote = at::zeros_like(values[0]);
  for (size_t i = 0; i < sides.size(); ++i) {
    const Tensor cast = spec.vote == Vote::kWeighted ? values[i] * sides[i].weight : values[i];
    vote += spec.consensus == Consensus::kSignFrequency ? cast.sign() : cast;
  }
  const Tensor elected = vote.ge(0);
  Tensor divisor = at::zeros_like(values[0]);
  std::vector<Tensor> agrees;
  for (size_t i = 0; i < sides.size(); ++i) {
    const bool flipped = spec.vote == Vote::kWeighted && sides[i].weight < 0;
    const Tensor positive = flipped ? values[i].lt(0) : values[i].gt(0),
                 negative = flipped ? values[i].gt(0) : values[i].lt(0);
    agrees.push_back(at::where(elected, positive, negative));
    divisor += agrees[i].to(at::kFloat) * (spec.divisor == Divisor::kWeight ? sides[i].share : 1.0);
  }
  const Tensor safe = spec.combine == Combine::kMean ? at::where(divisor.gt(0), divisor, at::ones_like(divisor))
                                                     : at::ones_like(divisor);
  for (size_t i = 0; i < sides.size(); ++i) out.push_back(values[i] * agrees[i] * sides[i].weight / safe);
  return out;
}

Tensor sum_of(const std::vector<Tensor>& tensors) {
  Tensor sum = tensors[0].clone();
  for (size_t i = 1; i < tensors.size(); ++i) sum += tensors[i];
  return sum;
}

/// ‖Σ ± b a‖ of a list of factor pairs, float64.
double pairs_norm(const std::vector<Tensor>& bs, const std::vector<Tensor>& as) {
  const Tensor b = at::cat(bs, 1).to(at::kDouble), a = at::cat(as, 0).to(at::kDouble);
  const double squared = (at::mm(b.t(), b) * at::mm(a, a.t())).sum().item<double>();
  return std::sqrt(squared < 0 ? 0.0 : squared);  // a NaN stays one, and is refused
}

}  // namespace

FactorResult merge_in_factor_space(const std::vector<Part>& parts, const BlockContext& context) {
  std::vector<SideInput> a_sides, b_sides;
  for (size_t i = 0; i < parts.size(); ++i) {
    const adapter::LowRank& u = parts[i].update;
    const Share& share = context.coefficients.shares[i];
    const double c = share.weight * u.scale;
    const double root = std::sqrt(std::fabs(c)), by = std::sqrt(std::fabs(share.weight));
    if (context.spec.factor_weights == FactorWeights::kWhole) {  // (Σ w s B)(Σ w A)
      const double part = std::fabs(share.weight);
      a_sides.push_back({u.a.to(at::kFloat).contiguous(), share.weight, share.density, part, parts[i].key + ".A"});
      b_sides.push_back({u.b.to(at::kFloat).contiguous(), c, share.density, part, parts[i].key + ".B"});
      continue;
    }
    a_sides.push_back(
        {u.a.to(at::kFloat).contiguous(), std::copysign(root, c), share.density, by, parts[i].key + ".A"});
    b_sides.push_back({u.b.to(at::kFloat).contiguous(), root, share.density, by, parts[i].key + ".B"});
  }
  std::vector<Tensor> as = contributions(a_sides, context.spec), bs = contributions(b_sides, context.spec);
  const double factor = context.coefficients.factor, root = std::sqrt(std::fabs(factor));
  Tensor a = sum_of(as) * std::copysign(root, factor), b = sum_of(bs) * root;

  FactorResult out;
  out.intended = pairs_norm(bs, as) * std::fabs(factor);
  bs.push_back(sum_of(bs));
  as.push_back(-sum_of(as));
  out.cross_terms = pairs_norm(bs, as) * std::fabs(factor);
  const RankRule& rule = context.coefficients.rank;
  const std::int64_t wanted = wanted_rank(rule, a.size(0), b.size(0), a.size(1));
  const linalg::Term term{b, a, 1.0};
  if (rule.kind == RankRule::Kind::kEnergy || (wanted > 0 && wanted < a.size(0))) {
    out.factors = linalg::truncate_sum({term}, rank_choice(rule, wanted));
    return out;
  }
  out.factors = linalg::stack({term});
  out.factors.norm = pairs_norm({b}, {a});
  return out;
}

}  // namespace weft::merge
