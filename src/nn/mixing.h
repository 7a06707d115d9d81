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

/// The low-rank products of a group without gradients on a CPU: z = x · Aᵀ, z weighed, y += z · B.
class LowRankProducts {
 public:
  /// `x` [tokens, in] float32 with contiguous rows; `mixing` stays the caller's. `few`: few_rows() multiplies.
  LowRankProducts(const Mixing& mixing, const Tensor& x, bool few);

  /// The first product. With `few` it is left to the caller's few_rows() on x where that is possible: `parts` grows.
  void shrink(std::vector<linalg::FewRowsPart>& parts);
  /// Weighs z and adds the second product to the outputs of the group.
  void expand(std::vector<Tensor>& ys);

 private:
  void shrink_tokens();
  void weigh(const MixPlan& plan);
  void weigh_token(const MixPlan& plan, std::int64_t token, float* z) const;
  void average_token(const MixPlan& plan, std::int64_t token, float* z) const;
  void expand_few(std::vector<Tensor>& ys);
  void expand_many(const MixPlan& plan, std::vector<Tensor>& ys);

  const Mixing& mixing_;
  Tensor x_;
  bool few_;
  std::vector<MixPlan> plans_;
  Tensor z_;  ///< [tokens, most columns of a plan]
};

}  // namespace weft::nn
