#include <ATen/ATen.h>

#include "core/team.h"
#include "nn/products.h"
#include "nn/recorded.h"
#include "nn/recorded_state.h"

namespace weft::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Tensor mean_rows(const Tensor& states, const std::vector<std::int64_t>& offsets) {
  const auto sequences = static_cast<std::int64_t>(offsets.size()) - 1;
  const std::int64_t width = states.size(1);
  Tensor means = at::zeros({sequences, width}, states.options());
  const float* from = states.const_data_ptr<float>();
  float* to = means.mutable_data_ptr<float>();
  auto one = [&](std::int64_t i) {
    const std::int64_t first = offsets[static_cast<size_t>(i)], last = offsets[static_cast<size_t>(i) + 1];
    float* mean = to + i * width;
    for (std::int64_t t = first; t < last; ++t)
      for (std::int64_t j = 0; j < width; ++j) mean[j] += from[t * width + j];
    const float share = 1.0f / static_cast<float>(last - first);
    for (std::int64_t j = 0; j < width; ++j) mean[j] *= share;
  };
  team_for(sequences, 0, one);
  return means;
}

struct MeansFunction : torch::autograd::Function<MeansFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& states, const std::vector<std::int64_t>& offsets) {
    context->saved_data["offsets"] = offsets;
    return mean_rows(states, offsets);
  }

  static variable_list backward(AutogradContext* context, const variable_list& dys) {
    const auto offsets = context->saved_data["offsets"].toIntVector();
    const Tensor dy = dys[0].contiguous();
    const std::int64_t width = dy.size(1);
    Tensor out = at::empty({offsets.back(), width}, dy.options());
    const float* from = dy.const_data_ptr<float>();
    float* to = out.mutable_data_ptr<float>();
    auto one = [&](std::int64_t i) {
      const std::int64_t first = offsets[static_cast<size_t>(i)], last = offsets[static_cast<size_t>(i) + 1];
      const float share = 1.0f / static_cast<float>(last - first);
      for (std::int64_t t = first; t < last; ++t)
        for (std::int64_t j = 0; j < width; ++j) to[t * width + j] = from[i * width + j] * share;
    };
    team_for(static_cast<std::int64_t>(offsets.size()) - 1, 0, one);
    return {out, Tensor()};
  }
};

}  // namespace

Tensor recorded_means(const Tensor& states, const std::vector<std::int64_t>& offsets) {
  if (states.is_cpu() && states.scalar_type() == at::kFloat)
    return records(states) ? MeansFunction::apply(states.contiguous(), offsets)
                           : mean_rows(states.contiguous(), offsets);
  std::vector<Tensor> means;
  for (size_t i = 0; i + 1 < offsets.size(); ++i)
    means.push_back(states.narrow(0, offsets[i], offsets[i + 1] - offsets[i]).mean(0));
  return at::stack(means, 0);
}

}  // namespace weft::nn
