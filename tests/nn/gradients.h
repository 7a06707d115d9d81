#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

namespace weft::test {

/// Gradients of Σ y · g by the leaves.
inline std::vector<at::Tensor> gradients_of(const at::Tensor& y, const at::Tensor& g,
                                            const std::vector<at::Tensor>& leaves) {
  return torch::autograd::grad({(y * g.to(y.scalar_type())).sum()}, leaves);
}

/// A leaf that wants a gradient.
inline at::Tensor leaf(const at::Tensor& values) { return values.detach().clone().requires_grad_(); }
inline at::Tensor double_leaf(const at::Tensor& values) { return leaf(values.to(at::kDouble)); }

}  // namespace weft::test
