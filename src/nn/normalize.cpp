#include <ATen/ATen.h>

#include "linalg/row_ops.h"
#include "nn/apply.h"
#include "nn/norm_operators.h"
#include "nn/overrides.h"
#include "nn/products.h"
#include "nn/recorded.h"

namespace weft::nn {
namespace {

Tensor norm_of(const Norm& norm, const Tensor& x, const Run& run) {
  const ModuleOverrides* overrides = run.experts == nullptr ? nullptr : run.experts->find(norm.name);
  if (overrides != nullptr) {
    const SiteWeights weights(run, norm.name, overrides->index, x, x.size(0));
    return replaced_norm(norm, *overrides, weights, x, run.experts->names);
  }
  return norm_of_any(norm, x, run.threads);
}

}  // namespace

Tensor norm_of_rows(const Norm& norm, const Tensor& x, int threads) {
  const Tensor in = x.contiguous(), weight = norm.weight.contiguous();
  Tensor out = at::empty_like(in);
  linalg::NormRows io;
  io.cols = in.size(-1);
  io.rows = io.cols > 0 ? in.numel() / io.cols : 0;
  io.x = in.const_data_ptr<float>();
  io.y = out.mutable_data_ptr<float>();
  io.ldx = io.ldy = io.cols;
  const auto eps = static_cast<float>(norm.eps);
  if (norm.kind == Norm::Kind::kLayer) {
    const Tensor bias = norm.bias.defined() ? norm.bias.contiguous() : Tensor();
    linalg::layer_norm(io, weight.const_data_ptr<float>(), bias.defined() ? bias.const_data_ptr<float>() : nullptr, eps,
                       threads);
  } else {
    const float offset = norm.kind == Norm::Kind::kRms ? 0.0f : 1.0f;
    linalg::rms_norm(io, weight.const_data_ptr<float>(), offset, eps, threads);
  }
  return out;
}

Tensor norm_of_any(const Norm& norm, const Tensor& x, int threads) {
  const bool ours = x.is_cpu() && x.scalar_type() == at::kFloat && norm.weight.scalar_type() == at::kFloat;
  if (!ours) return norm_of_operators(norm, x);
  const bool recorded = records(x) || records(norm.weight) || records(norm.bias);
  return recorded ? recorded_norm(norm, x) : norm_of_rows(norm, x, threads);
}

Tensor norm_of_operators(const Norm& norm, const Tensor& x) {
  if (norm.kind == Norm::Kind::kLayer) return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, norm.eps);
  const Tensor scaled = x * at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + norm.eps);
  return scaled * (norm.kind == Norm::Kind::kRms ? norm.weight : norm.weight + 1.0);
}

Tensor normalize(const Norm& norm, const Tensor& x, const Run& run) {
  Tensor y = norm_of(norm, x, run);
  check_finite(run, y, norm.name);
  return y;
}

}  // namespace weft::nn
