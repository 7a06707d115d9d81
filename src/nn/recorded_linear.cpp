#include <ATen/ATen.h>

#include <algorithm>

#include "nn/products.h"
#include "nn/recorded.h"
#include "nn/recorded_state.h"

namespace weft::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// One linear of a recorded group.
struct GroupPart {
  Tensor weight, bias;
  std::int64_t out = 0;
  bool transposed = false;
  std::int64_t column = 0, rank = 0;  ///< its columns of z; rank 0: no factors
};

/// A group of linears and the factors that go with it.
struct GroupState {
  std::vector<GroupPart> parts;
  Tensor a;        ///< [ΣR, in] float32, or undefined
  Tensor weights;  ///< [1 or tokens, ΣR]: weight times scale of each column's expert
};

Tensor plain(const Tensor& tensor) { return tensor.detach().to(at::kFloat); }

/// dx (+)= dy · W.
void add_input_gradient(Tensor& dx, const Tensor& dy, const GroupPart& part, bool accumulate) {
  multiply_into(dx, dy, part.weight, !part.transposed, accumulate);
}

/// y_i = x W_iᵀ + bias_i + ((x Aᵀ) ∘ weights) B_i. `factors` are all A, then all B, of the parts that have them.
struct GroupFunction : torch::autograd::Function<GroupFunction> {
  static variable_list forward(AutogradContext* context, const Tensor& x, at::TensorList factors,
                               const GroupState& state) {
    const size_t adapted = factors.size() / 2;
    Tensor z;
    if (adapted > 0) z = at::mm(x, state.a.t()).mul_(state.weights);
    variable_list ys;
    size_t with_factors = 0;
    for (const GroupPart& part : state.parts) {
      Tensor y = at::empty({x.size(0), part.out}, x.options());
      if (part.bias.defined()) y.copy_(part.bias);
      multiply_into(y, x, part.weight, part.transposed, part.bias.defined());
      if (part.rank > 0) y.addmm_(z.narrow(1, part.column, part.rank), plain(factors[adapted + with_factors++]));
      ys.push_back(std::move(y));
    }
    variable_list kept(factors.begin() + static_cast<std::ptrdiff_t>(adapted), factors.end());
    if (adapted > 0) kept.push_back(x), kept.push_back(z);
    context->save_for_backward(std::move(kept));
    context->set_materialize_grads(false);
    keep_state(*context, state);
    return ys;
  }

  static variable_list backward(AutogradContext* context, const variable_list& dys) {
    const GroupState& state = kept_state<GroupState>(*context);
    const variable_list kept = context->get_saved_variables();
    const size_t adapted = kept.size() < 2 ? 0 : kept.size() - 2;
    variable_list gradients(1 + 2 * adapted + 1);
    const bool wants_x = context->needs_input_grad(0);
    std::vector<Tensor> dense;
    for (const Tensor& dy : dys) dense.push_back(dy.defined() ? dy.contiguous() : Tensor());
    Tensor dx, dz;
    if (adapted > 0) dz = factor_gradients(*context, state, kept, dense, gradients);
    const auto given = std::find_if(dense.begin(), dense.end(), [](const Tensor& dy) { return dy.defined(); });
    if (!wants_x || given == dense.end()) return gradients;
    const GroupPart& first = state.parts.front();
    dx = at::empty({given->size(0), first.weight.size(first.transposed ? 0 : 1)}, given->options());
    bool begun = false;
    for (size_t i = 0; i < state.parts.size(); ++i) {
      if (!dense[i].defined()) continue;
      add_input_gradient(dx, dense[i], state.parts[i], begun);
      begun = true;
    }
    if (dz.defined()) dx.addmm_(dz, state.a);
    gradients[0] = dx;
    return gradients;
  }

  /// Sets the gradients of the factors; returns that of x Aᵀ.
  static Tensor factor_gradients(AutogradContext& context, const GroupState& state, const variable_list& kept,
                                 const std::vector<Tensor>& dys, variable_list& gradients) {
    const size_t adapted = kept.size() - 2;
    const Tensor &x = kept[adapted], &z = kept[adapted + 1];
    Tensor dz = at::zeros_like(z);
    size_t at = 0;
    bool wants_a = false;
    for (size_t i = 0; i < state.parts.size(); ++i) {
      const GroupPart& part = state.parts[i];
      if (part.rank == 0) continue;
      const size_t factor = at++;
      wants_a = wants_a || context.needs_input_grad(1 + factor);
      if (!dys[i].defined()) continue;
      Tensor target = dz.narrow(1, part.column, part.rank);
      at::mm_out(target, dys[i], plain(kept[factor]).t());
      if (context.needs_input_grad(1 + adapted + factor))
        gradients[1 + adapted + factor] = at::mm(z.narrow(1, part.column, part.rank).t(), dys[i]);
    }
    dz.mul_(state.weights);
    if (!wants_a) return dz;
    const Tensor da = at::mm(dz.t(), x);
    at = 0;
    for (const GroupPart& part : state.parts)
      if (part.rank > 0) gradients[1 + at++] = da.narrow(0, part.column, part.rank);
    return dz;
  }
};

struct ProductFunction : torch::autograd::Function<ProductFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const GroupPart& part) {
    Tensor y = at::empty({x.size(0), part.weight.size(part.transposed ? 1 : 0)}, x.options());
    multiply_into(y, x.contiguous(), part.weight, part.transposed, /*accumulate=*/false);
    keep_state(*context, part);
    return y;
  }
  static variable_list backward(AutogradContext* context, const variable_list& dys) {
    const GroupPart& part = kept_state<GroupPart>(*context);
    Tensor dx = at::empty({dys[0].size(0), part.weight.size(part.transposed ? 0 : 1)}, dys[0].options());
    add_input_gradient(dx, dys[0].contiguous(), part, /*accumulate=*/false);
    return {dx, Tensor()};
  }
};

/// Weight times scale of every column of the group's z, [1 or tokens, ΣR].
Tensor column_weights(const Mixing& mixing) {
  std::vector<Tensor> columns;
  for (size_t i = 0; i < mixing.experts->parts.size(); ++i) {
    const ModuleExperts& part = mixing.experts->parts[i];
    if (part.rank_sum() == 0) continue;
    const Tensor by_token = mixing.weights[i].by_token(at::kCPU).detach();
    columns.push_back(by_token.index_select(1, part.column_expert) * part.column_scale);
  }
  if (columns.size() == 1) return columns.front();
  std::int64_t rows = 1;
  for (const Tensor& part : columns) rows = std::max(rows, part.size(0));
  for (Tensor& part : columns) part = part.expand({rows, part.size(1)});
  return at::cat(columns, 1);
}

bool frozen_float_factors(const ModuleExperts& part) {
  return part.rank_sum() == 0 || (part.a.scalar_type() == at::kFloat && part.b.scalar_type() == at::kFloat);
}

}  // namespace

bool can_record_group(const LinearGroup& group, const Tensor& x, const Mixing& mixing) {
  if (!x.is_cpu() || x.scalar_type() != at::kFloat) return false;
  for (const Linear& linear : group.parts)
    if (records(linear.weight) || records(linear.bias)) return false;
  if (mixing.experts == nullptr) return true;
  if (mixing.rule != Rule::kDelta) return false;
  for (size_t i = 0; i < group.parts.size(); ++i) {
    const ModuleExperts& part = mixing.experts->parts[i];
    if (!part.any()) continue;
    if (part.changes_base() || records(mixing.weights[i].tensor()) || !frozen_float_factors(part)) return false;
  }
  return true;
}

std::vector<Tensor> recorded_group(const LinearGroup& group, const Tensor& x, const Mixing& mixing) {
  GroupState state;
  std::vector<Tensor> factors, bs;
  const bool adapted = mixing.experts != nullptr && mixing.experts->a.defined();
  std::int64_t column = 0;
  for (size_t i = 0; i < group.parts.size(); ++i) {
    const Linear& linear = group.parts[i];
    GroupPart part{linear.weight, linear.bias, linear.out, linear.transposed, 0, 0};
    if (adapted && mixing.experts->parts[i].any() && mixing.experts->parts[i].rank_sum() > 0) {
      const ModuleExperts& experts = mixing.experts->parts[i];
      part.column = column, part.rank = experts.rank_sum();
      column += part.rank;
      factors.push_back(experts.a), bs.push_back(experts.b);
    }
    state.parts.push_back(std::move(part));
  }
  if (!factors.empty()) {
    state.a = mixing.experts->a.detach();
    state.weights = column_weights(mixing);
  }
  factors.insert(factors.end(), bs.begin(), bs.end());
  return GroupFunction::apply(x.contiguous(), at::TensorList(factors), state);
}

Tensor recorded_product(const Tensor& x, const Tensor& weight, bool transposed) {
  GroupPart part;
  part.weight = weight, part.transposed = transposed;
  return ProductFunction::apply(x, part);
}

}  // namespace weft::nn
