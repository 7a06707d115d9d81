#pragma once

#include "nn/expert_data.h"
#include "nn/modules.h"
#include "nn/site_weights.h"

namespace weft::nn {

// Parameters that experts replace (heads, biases, norms, rows of tables) instead of adding to them. The weight of an
// expert that replaces one must be 0 or 1, and for a token at most one such expert counts; otherwise these functions
// throw UsageError naming module, adapters and the way out. All are differentiable.

/// x · Wᵀ + bias, float32 [tokens, out]; the bias is left out where `with_bias` is false.
Tensor replaced_product(const Linear& linear, const ModuleOverrides& overrides, const SiteWeights& weights,
                        const Tensor& x, const std::vector<std::string>& names, bool with_bias);
/// The bias for every token, float32 [tokens or 1, out]; undefined: there is none.
Tensor replaced_bias(const Linear& linear, const ModuleOverrides& overrides, const SiteWeights& weights,
                     std::int64_t tokens, const std::vector<std::string>& names);
/// Rows `ids` of a table, float32 [tokens, width].
Tensor replaced_rows(const Embedding& table, const ModuleOverrides& overrides, const SiteWeights& weights,
                     const Tensor& ids, const std::vector<std::string>& names);
/// The norm of every row.
Tensor replaced_norm(const Norm& norm, const ModuleOverrides& overrides, const SiteWeights& weights, const Tensor& x,
                     const std::vector<std::string>& names);

}  // namespace weft::nn
