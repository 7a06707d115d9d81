#include "nn/site_weights.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace weft::nn {

SiteWeights::SiteWeights(const Run& run, std::string_view module, std::int64_t index, const Tensor& input,
                         std::int64_t tokens)
    : rows_(run.gate->rows({module, index}, input, run.layout)) {
  experts_ = static_cast<std::int64_t>(run.experts->names.size());
  if (rows_.weights.dim() != 2 || rows_.weights.size(1) != experts_ || rows_.weights.size(0) < 1)
    throw Error(fmt::format("the gate of module '{}' gave weights of another shape than [rows, {}]", module, experts_));
  if (rows_.row_of_token.defined() && rows_.row_of_token.numel() != tokens)
    throw Error(fmt::format("the gate of module '{}' gave rows for {} tokens, but there are {}", module,
                            rows_.row_of_token.numel(), tokens));
  rows_.weights = rows_.weights.contiguous();
  if (rows_.weights.is_cpu()) data_ = rows_.weights.const_data_ptr<float>();
  if (rows_.row_of_token.defined()) row_of_ = rows_.row_of_token.const_data_ptr<std::int64_t>();
}

Tensor SiteWeights::by_token(const c10::Device& device) const {
  const Tensor weights = rows_.weights.to(device);
  if (uniform()) return weights.narrow(0, 0, 1);
  return weights.index_select(0, rows_.row_of_token.to(device));
}

}  // namespace weft::nn
