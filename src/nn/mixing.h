#pragma once

#include <cstdint>
#include <vector>

#include "linalg/few_rows.h"
#include "nn/mix_plan.h"

namespace weft::nn {

// What experts add, as operators that libtorch can differentiate, on any device.

/// y + the low-rank products; z is x · Aᵀ of the part [tokens, ΣR].
Tensor add_low_rank(const Tensor& y, const Tensor& z, const ModuleExperts& part, const SiteWeights& weights, Rule rule);
/// y · (1 + Σ g · base_factor): DoRA's rescaling of the base's product.
Tensor scale_base(const Tensor& y, const ModuleExperts& part, const SiteWeights& weights);
/// y + biases and dense updates of experts. `x` is the input; not looked at where there are no dense updates.
Tensor add_extras(const Tensor& y, const Tensor& x, const ModuleExperts& part, const SiteWeights& weights);

/**
 * The low-rank products of a group without gradients on a CPU: z = x · Aᵀ, z weighed, y += z · B. Where so many tokens
 * share their weights that it costs less, a part's updates are added to a copy of its weight, a block of rows at a
 * time.
 */
class LowRankProducts {
 public:
  /// `x` [tokens, in] float32 with contiguous rows; `group` and `mixing` stay the caller's. `few`: few_rows()
  /// multiplies.
  LowRankProducts(const LinearGroup& group, const Mixing& mixing, const Tensor& x, bool few);

  /// True if x · (W + ΔW)ᵀ of a part is to be had from merged_product(), which then replaces the base's product.
  bool is_merged(size_t part) const { return !merged_.empty() && !merged_[part].empty(); }
  /// x · (W + ΔW)ᵀ + bias.
  Tensor merged_product(size_t part) const;
  /// The first product. With `few` it is left to the caller's few_rows() on x where that is possible: `parts` grows.
  void shrink(std::vector<linalg::FewRowsPart>& parts);
  /// Weighs z and adds the second product to the outputs of the group.
  void expand(std::vector<Tensor>& ys);

 private:
  void choose_merged();
  linalg::FewRowsPart shrink_part(const MixStretch& stretch, std::int64_t token);
  void shrink_tokens();
  void weigh(const MixPlan& plan);
  void weigh_token(const MixPlan& plan, std::int64_t token, float* z) const;
  void average_token(const MixPlan& plan, std::int64_t token, float* z) const;
  void expand_few(std::vector<Tensor>& ys);
  void expand_many(const MixPlan& plan, std::vector<Tensor>& ys);

  const LinearGroup& group_;
  const Mixing& mixing_;
  Tensor x_;
  bool few_;
  std::vector<MixPlan> plans_;
  std::vector<std::vector<MixSegment>> merged_;  ///< per part: its segments, taken out of the plan
  Tensor z_;                                     ///< [tokens, most columns of a plan]
};

}  // namespace weft::nn
