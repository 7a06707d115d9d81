#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "nn/stacking.h"

namespace weft::nn {
namespace {

using adapter::Adapter;
using adapter::ModuleUpdate;

constexpr std::int64_t kNormedRows = 256;  // rows of weight + update that exist at a time

bool is_half(at::ScalarType type) { return type == at::kBFloat16 || type == at::kHalf; }

/// The half-precision dtype that all updates are stored in, else float32.
at::ScalarType common_dtype(const std::vector<const std::vector<Placed>*>& lists) {
  std::optional<at::ScalarType> common;
  for (const auto* list : lists)
    for (const auto& placed : *list) {
      const auto type = placed.info->dtype;
      const bool folded = placed.info->has_magnitude || placed.info->has_dense || placed.info->has_diagonal;
      if (!is_half(type) || folded || (common && *common != type)) return at::kFloat;
      common = type;
    }
  return common.value_or(at::kFloat);
}

void set_columns(ModuleExperts& module, size_t experts, const std::vector<Placed>& updates, const c10::Device& device) {
  module.starts.assign(experts + 1, 0);
  module.scales.assign(experts, 1.0f);
  for (const auto& placed : updates) module.starts[static_cast<size_t>(placed.expert) + 1] = placed.info->rank;
  for (size_t e = 0; e < experts; ++e) module.starts[e + 1] += module.starts[e];
  module.column_expert = at::empty({module.rank_sum()}, at::kLong);
  auto* column_expert = module.column_expert.mutable_data_ptr<std::int64_t>();
  for (size_t e = 0; e < experts; ++e)
    std::fill(column_expert + module.starts[e], column_expert + module.starts[e + 1], static_cast<std::int64_t>(e));
  module.column_expert = module.column_expert.to(device);
}

// Scales become known as the updates are loaded.
void finish_columns(ModuleExperts& module, const c10::Device& device) {
  const Tensor scales = at::tensor(at::ArrayRef<float>(module.scales)).to(device);
  module.column_scale = scales.index_select(0, module.column_expert);
}

/// Norms of the rows of weight + scale · b · a, float32; `weight` [out, in] in any dtype.
Tensor row_norms(const Tensor& weight, const Tensor& b, const Tensor& a, double scale) {
  const Tensor wide_a = a.to(at::kFloat), wide_b = b.to(at::kFloat) * scale;
  Tensor out = at::empty({weight.size(0)}, wide_a.options());
  for (std::int64_t i = 0; i < weight.size(0); i += kNormedRows) {
    const std::int64_t n = std::min(kNormedRows, weight.size(0) - i);
    const Tensor rows = at::addmm(weight.narrow(0, i, n).to(at::kFloat), wide_b.narrow(0, i, n), wide_a);
    out.narrow(0, i, n).copy_(at::linalg_vector_norm(rows, 2, at::IntArrayRef{1}, false, at::kDouble));
  }
  return out;
}

/// DoRA's m / ‖W + ΔW‖ per output.
Tensor dora_factor(const ModuleUpdate& update, const Tensor& weight, const std::string& adapter,
                   const std::string& module) {
  const auto& low = update.blocks[0];
  const auto device = weight.device();
  const Tensor norms = row_norms(weight, low.b.to(device), low.a.to(device), low.scale);
  const Tensor factor = update.magnitude.to(device, at::kFloat).reshape({-1}) / norms;
  if (!at::isfinite(factor).all().item<bool>())
    throw InputError(
        fmt::format("adapter '{}', module '{}': a row of the base weight plus the update is zero, so "
                    "DoRA's scale of it is not defined",
                    adapter, module));
  return factor;
}

void add_row(Tensor& table, size_t experts, std::int64_t expert, const Tensor& row, std::int64_t out,
             const c10::Device& device) {
  if (!table.defined())
    table = at::zeros({static_cast<std::int64_t>(experts), out}, at::TensorOptions().dtype(at::kFloat).device(device));
  table.select(0, expert).copy_(row.reshape({-1}));
}

/// Puts one update into the rows of the stacked factors. `weight` is the base's [out, in]; `a` the adapter's rows of
/// the stacked A, [r, in].
void put_update(const Adapter& adapter, const Placed& placed, const Tensor& weight, Tensor a, size_t experts,
                ModuleExperts& module) {
  const ModuleUpdate update = adapter.load(*placed.info);
  const auto& low = update.blocks.at(0);
  const auto expert = static_cast<size_t>(placed.expert);
  const std::int64_t row = module.starts[expert], rank = module.starts[expert + 1] - row, out = weight.size(0);
  if (low.a.size(0) != rank) throw Error(fmt::format("module '{}' has another rank than it said", placed.info->name));
  if (!(std::abs(low.scale) <= std::numeric_limits<float>::max()))
    throw InputError(fmt::format("adapter '{}', module '{}': the scale {} is too large for float32",
                                 adapter.info().name, placed.info->name, low.scale));
  module.scales[expert] = static_cast<float>(low.scale);
  a.copy_(low.a);
  Tensor b = module.b.narrow(0, row, rank);
  b.copy_(low.b.t());
  if (update.magnitude.defined()) {
    const Tensor factor = dora_factor(update, weight, adapter.info().name, placed.info->name);
    b.mul_(factor);
    add_row(module.base_factor, experts, placed.expert, factor - 1.0, out, weight.device());
  }
  if (update.bias.defined())
    add_row(module.bias, experts, placed.expert, update.bias.to(at::kFloat) * low.scale, out, weight.device());
  if (update.dense.defined()) module.dense.push_back({placed.expert, update.dense.to(weight.device())});
  adapter.release(*placed.info);
}

}  // namespace

GroupExperts stack_group(const std::vector<Adapter>& adapters, const LinearGroup& group,
                         const std::vector<const std::vector<Placed>*>& updates) {
  GroupExperts out;
  out.parts.resize(group.parts.size());
  std::int64_t rows = 0;
  const auto device = group.parts.front().weight.device();
  for (size_t p = 0; p < group.parts.size(); ++p) {
    if (updates[p]->empty()) continue;
    set_columns(out.parts[p], adapters.size(), *updates[p], device);
    rows += out.parts[p].rank_sum();
  }
  if (rows == 0) return out;
  const auto options = at::TensorOptions().device(device);
  out.a = at::empty({rows, group.parts.front().in}, options.dtype(common_dtype(updates)));
  std::int64_t row = 0;
  for (size_t p = 0; p < group.parts.size(); ++p) {
    ModuleExperts& module = out.parts[p];
    if (module.rank_sum() == 0) continue;
    const Linear& linear = group.parts[p];
    module.a = out.a.narrow(0, row, module.rank_sum());
    module.b = at::empty({module.rank_sum(), linear.out}, options.dtype(common_dtype({updates[p]})));
    const Tensor weight = linear.transposed ? linear.weight.t() : linear.weight;
    for (const auto& placed : *updates[p]) {
      const auto expert = static_cast<size_t>(placed.expert);
      const std::int64_t first = module.starts[expert], rank = module.starts[expert + 1] - first;
      put_update(adapters[expert], placed, weight, module.a.narrow(0, first, rank), adapters.size(), module);
    }
    finish_columns(module, device);
    row += module.rank_sum();
  }
  return out;
}

ModuleExperts stack_embedding(const std::vector<Adapter>& adapters, const Embedding& table,
                              const std::vector<Placed>& updates) {
  ModuleExperts out;
  if (updates.empty()) return out;
  const auto device = table.weight.device();
  const auto options = at::TensorOptions().device(device).dtype(common_dtype({&updates}));
  set_columns(out, adapters.size(), updates, device);
  out.a = at::empty({table.weight.size(0), out.rank_sum()}, options);
  out.b = at::empty({out.rank_sum(), table.weight.size(1)}, options);
  for (const auto& placed : updates) {
    const auto expert = static_cast<size_t>(placed.expert);
    const std::int64_t first = out.starts[expert], rank = out.starts[expert + 1] - first;
    put_update(adapters[expert], placed, table.weight.t(), out.a.narrow(1, first, rank).t(), adapters.size(), out);
  }
  finish_columns(out, device);
  return out;
}

}  // namespace weft::nn
