#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>
#include <vector>

#include "adapter/adapter_data.h"
#include "adapter/finite.h"

namespace weft::adapter {

namespace {

/// Every group of `group` inputs was averaged and multiplied by the number of groups before it met its column of `a`.
Tensor expand_pooled(const Tensor& a, std::int64_t group) {
  const double weight = static_cast<double>(a.size(1)) / static_cast<double>(group);
  return (a.to(at::kFloat) * weight).repeat_interleave(group, 1);
}

/// Blocks stacked in rows, put on the diagonal.
Tensor expand_diagonal(const Tensor& stacked, std::int64_t blocks) {
  const Tensor wide = stacked.to(at::kFloat);
  if (blocks == 1) return wide;
  return at::block_diag(wide.chunk(blocks, 0));
}

void expand_conv(const Tensor& a, const Tensor& b, const ModuleInfo& info, ModuleUpdate& out) {
  const Tensor rows = a.reshape({a.size(0), -1}), columns = b.reshape({b.size(0), -1});
  const std::int64_t groups = info.blocks, r = a.size(0) / groups, m = b.size(0) / groups;
  for (std::int64_t g = 0; g < groups; ++g)
    out.blocks.push_back({columns.narrow(0, g * m, m), rows.narrow(0, g * r, r), info.scale});
}

void expand_experts(const Tensor& a, const Tensor& b, const ModuleInfo& info, ModuleUpdate& out) {
  const std::int64_t experts = info.blocks, r = info.rank;
  const Tensor by_expert = b.reshape({b.size(0), r, experts});
  for (std::int64_t e = 0; e < experts; ++e)
    out.blocks.push_back({by_expert.select(2, e), a.narrow(0, e * r, r), info.scale});
}

}  // namespace

ModuleUpdate load_update(const io::TensorFile& file, const ModuleInfo& info, const ModuleKeys& keys) {
  ModuleUpdate out;
  Tensor a = load_finite(file, keys.a), b = load_finite(file, keys.b);
  if (!keys.diagonal.empty()) {
    const Tensor d = load_finite(file, keys.diagonal).reshape({1, -1});
    b = b.to(at::kFloat) * d.to(at::kFloat);
  }
  switch (keys.layout) {
    case Layout::kPlain:
    case Layout::kEmbedding:
      if (info.layer == LayerKind::kConv)
        expand_conv(a, b, info, out);
      else
        out.blocks.push_back({std::move(b), std::move(a), info.scale});
      break;
    case Layout::kExperts: expand_experts(a, b, info, out); break;
    case Layout::kQaLora: out.blocks.push_back({std::move(b), expand_pooled(a, keys.group_size), info.scale}); break;
    case Layout::kBdLora:
      out.blocks.push_back({expand_diagonal(b, keys.b_blocks), expand_diagonal(a, keys.a_blocks), info.scale});
      break;
  }
  if (!keys.bias.empty()) out.bias = load_finite(file, keys.bias).reshape({-1});
  if (!keys.magnitude.empty()) out.magnitude = load_finite(file, keys.magnitude).reshape({-1});
  return out;
}

}  // namespace weft::adapter
