#include "nn/apply.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "nn/mixing.h"
#include "nn/overrides.h"
#include "nn/products.h"
#include "nn/recorded.h"
#include "nn/trainable.h"

namespace weft::nn {
namespace {

const ModuleExperts* experts_of(const Mixing& mixing, size_t part) {
  return mixing.experts == nullptr || !mixing.experts->parts[part].any() ? nullptr : &mixing.experts->parts[part];
}

Mixing mixing_of(const LinearGroup& group, const Tensor& x, const Run& run) {
  Mixing mixing;
  mixing.threads = run.threads;
  if (run.experts == nullptr || group.index < 0) return mixing;
  const GroupExperts& experts = run.experts->groups[static_cast<size_t>(group.index)];
  if (!experts.any) return mixing;
  mixing.experts = &experts;
  mixing.rule = run.gate->rule();
  for (size_t i = 0; i < group.parts.size(); ++i)
    mixing.weights.push_back(experts.parts[i].any()
                                 ? SiteWeights(run, group.parts[i].name, experts.parts[i].module, x, x.size(0))
                                 : SiteWeights());
  return mixing;
}

bool base_records(const LinearGroup& group, const Tensor& x) {
  const auto part_records = [](const Linear& part) { return records(part.weight) || records(part.bias); };
  return records(x) || std::any_of(group.parts.begin(), group.parts.end(), part_records);
}

const ModuleOverrides* overrides_of(const ModuleExperts* part, const Run& run) {
  return part == nullptr || part->override < 0 ? nullptr : &run.experts->overrides[static_cast<size_t>(part->override)];
}

/// Parts whose base product is rescaled or replaced: it is made by itself, and the bias added last.
bool is_special(const ModuleExperts* part) { return part != nullptr && part->changes_base(); }

Tensor special_base(const Linear& linear, const ModuleExperts& part, const SiteWeights& weights, const Tensor& x,
                    const Run& run) {
  const ModuleOverrides* overrides = overrides_of(&part, run);
  const bool scaled = part.base_factor.defined();
  if (overrides == nullptr) {
    const Tensor y = scale_base(product(x, linear.weight, linear.transposed), part, weights);
    return linear.bias.defined() ? y + linear.bias.to(at::kFloat) : y;
  }
  const auto& names = run.experts->names;
  const Tensor y = replaced_product(linear, *overrides, weights, x, names, /*with_bias=*/!scaled);
  if (!scaled) return y;
  const Tensor bias = replaced_bias(linear, *overrides, weights, x.size(0), names);
  return bias.defined() ? scale_base(y, part, weights) + bias : scale_base(y, part, weights);
}

Tensor base_of_operators(const Linear& linear, const Tensor& x) {
  if (records(linear.weight) || !x.is_cpu()) return linear_map(x, linear.weight, linear.transposed, linear.bias);
  const Tensor y = product(x, linear.weight, linear.transposed);
  return linear.bias.defined() ? y + linear.bias.to(at::kFloat) : y;
}

std::vector<Tensor> apply_operators(const LinearGroup& group, const Tensor& x, const Mixing& mixing, const Run& run) {
  std::vector<Tensor> ys;
  const bool factors = mixing.experts != nullptr && mixing.experts->a.defined();
  const bool dropping = factors && run.experts->dropout > 0;
  const Tensor z = factors && !dropping ? linear_map(x, mixing.experts->a, /*transposed=*/false, {}) : Tensor();
  std::int64_t column = 0;
  for (size_t i = 0; i < group.parts.size(); ++i) {
    const auto& linear = group.parts[i];
    const ModuleExperts* part = experts_of(mixing, i);
    Tensor y = is_special(part) ? special_base(linear, *part, mixing.weights[i], x, run) : base_of_operators(linear, x);
    if (part != nullptr) {
      const std::int64_t rank = part->rank_sum();
      if (rank > 0) {
        const Tensor of_part = dropping ? linear_map(drop_out(x, *run.experts, part->module), part->a, false, {})
                                        : z.narrow(1, column, rank);
        y = add_low_rank(y, of_part, *part, mixing.weights[i], mixing.rule);
      }
      y = add_extras(y, x, *part, mixing.weights[i]);
      column += rank;
    }
    ys.push_back(std::move(y));
  }
  return ys;
}

// By an operation of our own where there is one for the group, and extras beside it.
std::vector<Tensor> apply_recorded(const LinearGroup& group, const Tensor& x, const Mixing& mixing, const Run& run) {
  const bool dropping = mixing.experts != nullptr && run.experts->dropout > 0;
  if (dropping || !can_record_group(group, x, mixing)) return apply_operators(group, x, mixing, run);
  auto ys = recorded_group(group, x, mixing);
  for (size_t i = 0; i < ys.size(); ++i)
    if (const auto* part = experts_of(mixing, i)) ys[i] = add_extras(ys[i], x, *part, mixing.weights[i]);
  return ys;
}

Tensor base_of_many(const Linear& linear, const Tensor& x) {
  const bool biased = linear.bias.defined();
  Tensor y = at::empty({x.size(0), linear.out}, at::kFloat);
  if (biased) y.copy_(linear.bias);
  multiply_into(y, x, linear.weight, linear.transposed, biased);
  return y;
}

// Our own kernels: all products that read x go together.
std::vector<Tensor> apply_few(const LinearGroup& group, const Tensor& x, const Mixing& mixing, const Run& run) {
  std::vector<Tensor> ys, biases;
  std::vector<linalg::FewRowsPart> parts;
  for (size_t i = 0; i < group.parts.size(); ++i) {
    const auto& linear = group.parts[i];
    if (const auto* part = experts_of(mixing, i); is_special(part)) {
      ys.push_back(special_base(linear, *part, mixing.weights[i], x, run));
      continue;
    }
    ys.push_back(at::empty({x.size(0), linear.out}, at::kFloat));
    parts.push_back(part_of(linear.weight, linear.transposed, ys.back()));
    if (!linear.bias.defined()) continue;
    biases.push_back(linear.bias.to(at::kFloat).contiguous());
    parts.back().bias = biases.back().const_data_ptr<float>();
  }
  LowRankProducts low_rank(group, mixing, x, /*few=*/true);
  low_rank.shrink(parts);
  linalg::few_rows(x.const_data_ptr<float>(), x.size(0), x.size(1), x.stride(0), parts, run.threads);
  low_rank.expand(ys);
  return ys;
}

std::vector<Tensor> apply_many(const LinearGroup& group, const Tensor& x, const Mixing& mixing, const Run& run) {
  LowRankProducts low_rank(group, mixing, x, /*few=*/false);
  std::vector<Tensor> ys;
  for (size_t i = 0; i < group.parts.size(); ++i) {
    const auto* part = experts_of(mixing, i);
    if (is_special(part))
      ys.push_back(special_base(group.parts[i], *part, mixing.weights[i], x, run));
    else
      ys.push_back(low_rank.is_merged(i) ? low_rank.merged_product(i) : base_of_many(group.parts[i], x));
  }
  std::vector<linalg::FewRowsPart> none;
  low_rank.shrink(none);
  low_rank.expand(ys);
  return ys;
}

std::vector<Tensor> apply_kernels(const LinearGroup& group, const Tensor& x, const Mixing& mixing, const Run& run) {
  const Tensor rows = x.size(1) <= 1 || x.stride(1) == 1 ? x : x.contiguous();
  const bool few =
      rows.size(0) <= kFewTokens &&
      std::all_of(group.parts.begin(), group.parts.end(), [](const Linear& linear) { return readable(linear.weight); });
  auto ys = few ? apply_few(group, rows, mixing, run) : apply_many(group, rows, mixing, run);
  for (size_t i = 0; i < ys.size(); ++i)
    if (const auto* part = experts_of(mixing, i)) ys[i] = add_extras(ys[i], rows, *part, mixing.weights[i]);
  return ys;
}

}  // namespace

std::vector<Tensor> apply(const LinearGroup& group, const Tensor& x, const Run& run) {
  const Mixing mixing = mixing_of(group, x, run);
  const bool operators = !x.is_cpu() || base_records(group, x) || mixing.records();
  auto ys = operators ? apply_recorded(group, x, mixing, run) : apply_kernels(group, x, mixing, run);
  if (run.check)
    for (size_t i = 0; i < ys.size(); ++i) check_finite(run, ys[i], group.parts[i].name);
  return ys;
}

Tensor apply_one(const LinearGroup& group, const Tensor& x, const Run& run) { return apply(group, x, run).front(); }

}  // namespace weft::nn
