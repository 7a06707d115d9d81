#include <ATen/ATen.h>

#include <algorithm>

#include "nn/mixing.h"
#include "nn/products.h"

namespace weft::nn {
namespace {

std::int64_t common_rank(const ModuleExperts& part) {
  std::int64_t rank = 0;
  for (size_t e = 0; e + 1 < part.starts.size(); ++e) rank = std::max(rank, part.starts[e + 1] - part.starts[e]);
  return rank;
}

}  // namespace

Tensor add_low_rank(const Tensor& y, const Tensor& z, const ModuleExperts& part, const SiteWeights& weights,
                    Rule rule) {
  const Tensor of_column = weights.by_token(y.device()).index_select(1, part.column_expert);
  const Tensor b = part.b.to(at::kFloat);
  if (rule == Rule::kDelta) return y + at::matmul(z * (of_column * part.column_scale), b);
  const std::int64_t rank = common_rank(part), experts = part.rank_sum() / rank;
  const Tensor mean = (z * of_column).view({z.size(0), experts, rank}).sum(1).repeat({1, experts});
  return y + at::matmul(mean * (of_column * part.column_scale), b);
}

Tensor scale_base(const Tensor& y, const ModuleExperts& part, const SiteWeights& weights) {
  return y * (at::matmul(weights.by_token(y.device()), part.base_factor) + 1.0);
}

Tensor add_extras(const Tensor& y, const Tensor& x, const ModuleExperts& part, const SiteWeights& weights) {
  if (!part.bias.defined() && part.dense.empty()) return y;
  const Tensor by_token = weights.by_token(y.device());
  Tensor out = part.bias.defined() ? y + at::matmul(by_token, part.bias) : y;
  for (const auto& dense : part.dense)
    out = out + product(x, dense.weight, /*transposed=*/false) * by_token.narrow(1, dense.expert, 1);
  return out;
}

}  // namespace weft::nn
