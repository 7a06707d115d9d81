#include <ATen/ATen.h>

#include "linalg/row_gradients.h"
#include "nn/apply.h"
#include "nn/norm_operators.h"
#include "nn/recorded.h"
#include "nn/recorded_state.h"

namespace weft::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const float* numbers_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

/// A norm without its parameters.
struct NormShape {
  Norm::Kind kind = Norm::Kind::kLayer;
  double eps = 0.0;
  bool biased = false;
};

/// Keeps what was normalised; means are made again.
struct NormFunction : torch::autograd::Function<NormFunction> {
  /// `inputs`: x, weight and, where there is one, bias.
  static Tensor forward(AutogradContext* context, at::TensorList inputs, const NormShape& shape) {
    context->save_for_backward({inputs[0], inputs[1]});
    keep_state(*context, shape);
    Norm whole;
    whole.kind = shape.kind, whole.eps = shape.eps;
    whole.weight = inputs[1];
    if (inputs.size() > 2) whole.bias = inputs[2];
    return norm_of_rows(whole, inputs[0], /*threads=*/0);
  }

  static variable_list backward(AutogradContext* context, const variable_list& dys) {
    const NormShape& norm = kept_state<NormShape>(*context);
    const variable_list kept = context->get_saved_variables();
    const Tensor x = kept[0].contiguous(), weight = kept[1].contiguous(), dy = dys[0].contiguous();
    Tensor dx = at::empty_like(x), d_weight, d_bias;
    linalg::NormGradient io;
    io.cols = x.size(-1);
    io.rows = io.cols > 0 ? x.numel() / io.cols : 0;
    io.x = x.const_data_ptr<float>(), io.dy = dy.const_data_ptr<float>(), io.dx = dx.mutable_data_ptr<float>();
    io.weight = weight.const_data_ptr<float>(), io.eps = static_cast<float>(norm.eps);
    io.offset = norm.kind == Norm::Kind::kRmsPlusOne ? 1.0f : 0.0f;
    if (context->needs_input_grad(1)) {
      d_weight = at::zeros_like(weight);
      io.d_weight = d_weight.mutable_data_ptr<float>();
    }
    if (norm.biased && context->needs_input_grad(2)) {
      d_bias = at::zeros_like(weight);
      io.d_bias = d_bias.mutable_data_ptr<float>();
    }
    if (norm.kind == Norm::Kind::kLayer)
      linalg::layer_norm_gradient(io);
    else
      linalg::rms_norm_gradient(io);
    variable_list gradients = {dx, d_weight};
    if (norm.biased) gradients.push_back(d_bias);
    gradients.emplace_back();
    return gradients;
  }
};

linalg::ActivateGradient activation_rows(const Tensor& x, const Tensor& up, const Tensor& dy) {
  linalg::ActivateGradient io;
  io.rows = x.size(0), io.cols = x.size(1);
  io.x = x.const_data_ptr<float>(), io.ldx = x.stride(0);
  io.up = numbers_or_null(up), io.ld_up = up.defined() ? up.stride(0) : 0;
  io.dy = dy.const_data_ptr<float>(), io.ldy = dy.stride(0);
  return io;
}

struct ActivationFunction : torch::autograd::Function<ActivationFunction> {
  /// `inputs`: x and, where there is one, what is multiplied by.
  static Tensor forward(AutogradContext* context, at::TensorList inputs, Activation activation) {
    context->save_for_backward(inputs.vec());
    keep_state(*context, activation);
    return inputs.size() > 1 ? activate_gate(activation, inputs[0], inputs[1]) : activate(activation, inputs[0]);
  }

  static variable_list backward(AutogradContext* context, const variable_list& dys) {
    const variable_list kept = context->get_saved_variables();
    const Tensor x = kept[0], up = kept.size() > 1 ? kept[1] : Tensor(), dy = dys[0].contiguous();
    Tensor dx = at::empty(x.sizes(), x.options()), d_up;
    linalg::ActivateGradient io = activation_rows(x, up, dy);
    io.dx = dx.mutable_data_ptr<float>(), io.ld_dx = dx.stride(0);
    if (up.defined()) {
      d_up = at::empty(x.sizes(), x.options());
      io.d_up = d_up.mutable_data_ptr<float>(), io.ld_d_up = d_up.stride(0);
    }
    linalg::activate_gradient(io, kernel_of(kept_state<Activation>(*context)));
    return up.defined() ? variable_list{dx, d_up, Tensor()} : variable_list{dx, Tensor()};
  }
};

/// Both halves of one tensor: gate and up of a fused projection, whose gradient is one tensor as well.
struct HalvesFunction : torch::autograd::Function<HalvesFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& both, Activation activation) {
    context->save_for_backward({both});
    keep_state(*context, activation);
    const std::int64_t width = both.size(1) / 2;
    return activate_gate(activation, both.narrow(1, 0, width), both.narrow(1, width, width));
  }

  static variable_list backward(AutogradContext* context, const variable_list& dys) {
    const Tensor both = context->get_saved_variables()[0], dy = dys[0].contiguous();
    const std::int64_t width = both.size(1) / 2;
    Tensor gradient = at::empty(both.sizes(), both.options());
    linalg::ActivateGradient io = activation_rows(both.narrow(1, 0, width), both.narrow(1, width, width), dy);
    io.dx = gradient.mutable_data_ptr<float>(), io.ld_dx = gradient.stride(0);
    io.d_up = io.dx + width, io.ld_d_up = io.ld_dx;
    linalg::activate_gradient(io, kernel_of(kept_state<Activation>(*context)));
    return {gradient, Tensor()};
  }
};

}  // namespace

Tensor recorded_norm(const Norm& norm, const Tensor& x) {
  std::vector<Tensor> inputs = {x, norm.weight};
  if (norm.bias.defined()) inputs.push_back(norm.bias);
  NormShape shape{norm.kind, norm.eps, norm.bias.defined()};
  return NormFunction::apply(at::TensorList(inputs), shape);
}

Tensor recorded_activation(Activation activation, const Tensor& x, const Tensor& up) {
  const std::vector<Tensor> inputs = up.defined() ? std::vector<Tensor>{x, up} : std::vector<Tensor>{x};
  return ActivationFunction::apply(at::TensorList(inputs), activation);
}

Tensor recorded_halves(Activation activation, const Tensor& both) { return HalvesFunction::apply(both, activation); }

}  // namespace weft::nn
