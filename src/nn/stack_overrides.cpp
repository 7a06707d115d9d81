#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "nn/stacking.h"

namespace weft::nn {
namespace {

using adapter::Adapter;
using adapter::FullTensor;

/// The list of token ids that belongs to a tensor of rows: one for all, or one per module by the end of its name.
const Value* token_list(const Adapter& adapter, const FullTensor& tensor) {
  const Value* indices = adapter.info().config.find("trainable_token_indices");
  if (indices == nullptr || !indices->is_map()) return indices;
  const std::string module = "." + tensor.name.substr(0, tensor.name.rfind('.'));
  for (const auto& [name, list] : indices->map) {
    const std::string end = "." + name;
    if (module.size() >= end.size() && module.compare(module.size() - end.size(), end.size(), end) == 0) return &list;
  }
  return indices->map.size() == 1 ? &indices->map.front().second : nullptr;
}

std::vector<std::int64_t> token_rows(const Adapter& adapter, const FullTensor& tensor, std::int64_t rows) {
  std::vector<std::int64_t> out;
  const Value* list = token_list(adapter, tensor);
  if (list != nullptr)
    for (const auto& item : list->list) {
      const auto id = item.integer();
      if (!id || *id < 0 || *id >= rows)
        throw InputError(
            fmt::format("adapter '{}': trainable_token_indices lists {}, but '{}' of the model has {} rows",
                        adapter.info().name, item.describe(), tensor.name, rows));
      out.push_back(*id);
    }
  if (static_cast<std::int64_t>(out.size()) != tensor.shape[0])
    throw InputError(fmt::format("adapter '{}': tensor '{}' holds {} rows, but trainable_token_indices lists {} tokens",
                                 adapter.info().name, tensor.key, tensor.shape[0], out.size()));
  return out;
}

Tensor base_parameter(const Site& site, bool bias) {
  if (const Linear* linear = site.linear()) return bias ? linear->bias : linear->weight;
  if (site.embedding != nullptr) return site.embedding->weight;
  return bias ? site.norm->bias : site.norm->weight;
}

void check_values(const Adapter& adapter, const FullTensor& tensor, const Tensor& value) {
  if (!at::isfinite(value).all().item<bool>())
    throw InputError(fmt::format("adapter '{}': tensor '{}' holds NaN or Inf", adapter.info().name, tensor.key));
}

/// Rows of a table in ascending order; of a token listed twice the last counts.
void set_rows(Override& out, const std::vector<std::int64_t>& ids) {
  std::vector<std::int64_t> order(ids.size());
  std::iota(order.begin(), order.end(), 0);
  const auto id_of = [&](std::int64_t i) { return ids[static_cast<size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](auto i, auto j) { return id_of(i) < id_of(j); });
  std::vector<std::int64_t> kept, rows;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i + 1 < order.size() && id_of(order[i]) == id_of(order[i + 1])) continue;
    kept.push_back(order[i]);
    rows.push_back(id_of(order[i]));
  }
  const auto options = at::TensorOptions().dtype(at::kLong);
  out.rows = at::tensor(at::ArrayRef<std::int64_t>(rows), options).to(out.value.device());
  out.value = out.value.index_select(0, at::tensor(at::ArrayRef<std::int64_t>(kept), options).to(out.value.device()));
}

}  // namespace

ModuleOverrides stack_overrides(const std::vector<Adapter>& adapters, const Site& site,
                                const std::vector<Replacement>& replacements) {
  ModuleOverrides out;
  out.module = site.name;
  for (const auto& r : replacements) {
    const Adapter& adapter = adapters[static_cast<size_t>(r.expert)];
    const Tensor base = base_parameter(site, r.bias), stored = adapter.load_key(r.info->key);
    check_values(adapter, *r.info, stored);
    Override replaced{r.expert, Tensor(), stored.to(base.device(), at::kFloat, /*non_blocking=*/false, /*copy=*/true)};
    if (r.info->kind == FullTensor::Kind::kTokenRows)
      set_rows(replaced, token_rows(adapter, *r.info, base.size(0)));
    else if (at::equal(replaced.value, base.to(at::kFloat)))
      continue;  // saved beside the update, but never changed
    if (const Linear* linear = site.linear(); linear != nullptr && !r.bias && linear->transposed)
      replaced.value = replaced.value.t().contiguous();
    (r.bias ? out.bias : out.weight).push_back(std::move(replaced));
  }
  return out;
}

}  // namespace weft::nn
