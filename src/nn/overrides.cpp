#include "nn/overrides.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>
#include <utility>

#include "nn/norm_operators.h"
#include "nn/products.h"

namespace weft::nn {
namespace {

/// Tokens that use the same replacements.
struct Choice {
  const Override* weight = nullptr;  ///< null: the base's
  const Override* bias = nullptr;
  std::vector<std::int64_t> tokens;
};

// The replacement whose expert has weight 1 there, or null.
const Override* owner_of(const std::vector<Override>& overrides, const float* weights, const std::string& module,
                         const char* parameter, const std::vector<std::string>& names) {
  const Override* owner = nullptr;
  for (const auto& candidate : overrides) {
    const float weight = weights[candidate.expert];
    const auto& name = names[static_cast<size_t>(candidate.expert)];
    if (weight == 0.0f) continue;
    if (weight != 1.0f)
      throw UsageError(
          fmt::format("adapter '{}' replaces {}.{}, which cannot be weighed: its weight must be 0 or 1, not {}; give "
                      "it weight 1, or "
                      "make the adapter one without full tensors (weft merge, full_tensors: drop)",
                      name, module, parameter, weight));
    if (owner != nullptr)
      throw UsageError(
          fmt::format("adapters '{}' and '{}' both replace {}.{} for the same input; give one of them "
                      "weight 0, or drop the full tensors of one (weft merge, full_tensors: drop)",
                      names[static_cast<size_t>(owner->expert)], name, module, parameter));
    owner = &candidate;
  }
  return owner;
}

std::vector<Choice> choices_of(const ModuleOverrides& overrides, const SiteWeights& weights, std::int64_t tokens,
                               const std::vector<std::string>& names) {
  const Tensor table = weights.tensor().detach().to(at::kCPU).contiguous();
  const auto* rows = table.const_data_ptr<float>();
  std::map<std::int64_t, size_t> choice_of_row;
  std::vector<Choice> out;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int64_t row = weights.row_of(t);
    if (const auto [at, fresh] = choice_of_row.try_emplace(row, out.size()); fresh) {
      const float* row_weights = rows + row * weights.experts();
      const Override* weight = owner_of(overrides.weight, row_weights, overrides.module, "weight", names);
      const Override* bias = owner_of(overrides.bias, row_weights, overrides.module, "bias", names);
      size_t same = 0;
      while (same < out.size() && (out[same].weight != weight || out[same].bias != bias)) ++same;
      if (same == out.size()) out.push_back({weight, bias, {}});
      at->second = same;
    }
    out[choice_of_row[row]].tokens.push_back(t);
    if (weights.uniform()) break;  // all tokens are as the first
  }
  return out;
}

Tensor token_index(const std::vector<std::int64_t>& tokens, const c10::Device& device) {
  return at::tensor(at::ArrayRef<std::int64_t>(tokens), at::TensorOptions().dtype(at::kLong)).to(device);
}

// f(choice, rows of x) for the tokens of every choice, put together in the order of the tokens.
template <class F>
Tensor by_choice(const std::vector<Choice>& choices, const Tensor& x, const F& f) {
  if (choices.empty()) return f(Choice{}, x);
  if (choices.size() == 1) return f(choices[0], x);
  std::vector<Tensor> pieces;
  std::vector<std::int64_t> place(static_cast<size_t>(x.size(0)));
  std::int64_t next = 0;
  for (const auto& choice : choices) {
    pieces.push_back(f(choice, x.index_select(0, token_index(choice.tokens, x.device()))));
    for (const std::int64_t token : choice.tokens) place[static_cast<size_t>(token)] = next++;
  }
  return at::cat(pieces).index_select(0, token_index(place, x.device()));
}

Tensor product_of(const Linear& linear, const Override* weight, const Tensor& x) {
  if (weight != nullptr && !weight->rows.defined()) return product(x, weight->value, /*transposed=*/false);
  const Tensor y = product(x, linear.weight, linear.transposed);
  return weight == nullptr ? y : y.index_copy(1, weight->rows, product(x, weight->value, /*transposed=*/false));
}

Tensor bias_of(const Tensor& base, const Override* bias) {
  if (bias != nullptr) return bias->value;
  return base.defined() ? base.to(at::kFloat) : base;
}

Tensor rows_of_table(const Embedding& table, const Override* weight, const Tensor& ids) {
  if (weight == nullptr) return table.weight.index_select(0, ids).to(at::kFloat);
  if (!weight->rows.defined()) return weight->value.index_select(0, ids);
  const Tensor place = at::searchsorted(weight->rows, ids).clamp_max(weight->rows.size(0) - 1);
  const Tensor replaced = weight->rows.index_select(0, place) == ids;
  return at::where(replaced.unsqueeze(1), weight->value.index_select(0, place),
                   table.weight.index_select(0, ids).to(at::kFloat));
}

}  // namespace

Tensor replaced_product(const Linear& linear, const ModuleOverrides& overrides, const SiteWeights& weights,
                        const Tensor& x, const std::vector<std::string>& names, bool with_bias) {
  return by_choice(choices_of(overrides, weights, x.size(0), names), x, [&](const Choice& choice, const Tensor& rows) {
    const Tensor y = product_of(linear, choice.weight, rows);
    const Tensor bias = with_bias ? bias_of(linear.bias, choice.bias) : Tensor();
    return bias.defined() ? y + bias : y;
  });
}

Tensor replaced_bias(const Linear& linear, const ModuleOverrides& overrides, const SiteWeights& weights,
                     std::int64_t tokens, const std::vector<std::string>& names) {
  const auto choices = choices_of(overrides, weights, tokens, names);
  if (!linear.bias.defined() && overrides.bias.empty()) return {};
  const Tensor none = at::zeros({tokens, 1}, linear.weight.options().dtype(at::kFloat));
  return by_choice(choices, none, [&](const Choice& choice, const Tensor& rows) {
    const Tensor bias = bias_of(linear.bias, choice.bias);
    return bias.defined() ? bias.expand({rows.size(0), linear.out})
                          : at::zeros({rows.size(0), linear.out}, none.options());
  });
}

Tensor replaced_rows(const Embedding& table, const ModuleOverrides& overrides, const SiteWeights& weights,
                     const Tensor& ids, const std::vector<std::string>& names) {
  return by_choice(choices_of(overrides, weights, ids.size(0), names), ids,
                   [&](const Choice& choice, const Tensor& rows) { return rows_of_table(table, choice.weight, rows); });
}

Tensor replaced_norm(const Norm& norm, const ModuleOverrides& overrides, const SiteWeights& weights, const Tensor& x,
                     const std::vector<std::string>& names) {
  return by_choice(choices_of(overrides, weights, x.size(0), names), x, [&](const Choice& choice, const Tensor& rows) {
    Norm changed = norm;
    if (choice.weight != nullptr) changed.weight = choice.weight->value;
    if (choice.bias != nullptr) changed.bias = choice.bias->value;
    return norm_of_any(changed, rows, /*threads=*/0);
  });
}

}  // namespace weft::nn
