#include <ATen/ATen.h>

#include <cmath>

#include "linalg/row_ops.h"
#include "nn/forward.h"
#include "nn/products.h"

namespace weft::nn {

namespace {

/// Dynamic NTK scaling (transformers' `dynamic`): frequencies [tokens, width / 2] for sequences of `total` tokens.
Tensor dynamic_frequencies(const Rope& rope, const Tensor& total) {
  const auto limit = static_cast<double>(rope.original);
  const Tensor length = total.to(at::kDouble).clamp_min(limit).unsqueeze(1);
  const double power = static_cast<double>(rope.width) / static_cast<double>(rope.width - 2);
  const Tensor base = (rope.factor * length / limit - (rope.factor - 1)).pow(power) * rope.theta;
  const Tensor exponent = at::arange(0, rope.width, 2, total.options().dtype(at::kDouble)) / double(rope.width);
  return base.pow(-exponent).to(at::kFloat);
}

}  // namespace

Angles angles_of(const Rope& rope, const Tensor& positions, const Tensor& total) {
  Tensor frequencies = rope.frequencies.to(positions.device()).unsqueeze(0);
  if (rope.kind == Rope::Kind::kDynamic && (total > rope.original).any().item<bool>())
    frequencies = at::where((total > rope.original).unsqueeze(1), dynamic_frequencies(rope, total), frequencies);
  if (rope.kind == Rope::Kind::kLongRope)
    frequencies = at::where((total > rope.original).unsqueeze(1),
                            rope.long_frequencies.to(positions.device()).unsqueeze(0), frequencies);
  const Tensor angle = positions.to(at::kFloat).unsqueeze(1) * frequencies;
  Angles out{angle.cos(), angle.sin()};
  if (rope.attention_factor != 1.0) {
    out.cos.mul_(rope.attention_factor);
    out.sin.mul_(rope.attention_factor);
  }
  return out;
}

void rotate_heads(Tensor& q, Tensor& k, const Angles& angles, int threads) {
  const bool ours = q.is_cpu() && !records(q) && !records(k) && q.stride(2) == 1 && (!k.defined() || k.stride(2) == 1);
  if (!ours) {
    q = rotate(q, angles);
    if (k.defined()) k = rotate(k, angles);
    return;
  }
  std::vector<linalg::RotaryRows> sets;
  for (Tensor* x : {&q, &k})
    if (x->defined()) sets.push_back({x->mutable_data_ptr<float>(), x->stride(0), x->size(1), x->stride(1)});
  linalg::RotaryTable table;
  const Tensor cos = angles.cos.contiguous(), sin = angles.sin.contiguous();
  table.cos = cos.const_data_ptr<float>(), table.sin = sin.const_data_ptr<float>();
  table.ld = cos.size(1), table.dim = 2 * cos.size(1);
  linalg::rotate(sets, q.size(0), table, threads);
}

Tensor rotate(const Tensor& x, const Angles& angles) {
  const std::int64_t half = angles.cos.size(1);
  const Tensor cos = angles.cos.unsqueeze(1), sin = angles.sin.unsqueeze(1);
  const Tensor left = x.narrow(2, 0, half), right = x.narrow(2, half, half);
  std::vector<Tensor> parts = {left * cos - right * sin, right * cos + left * sin};
  if (x.size(2) > 2 * half) parts.push_back(x.narrow(2, 2 * half, x.size(2) - 2 * half));
  return at::cat(parts, 2);
}

}  // namespace weft::nn
