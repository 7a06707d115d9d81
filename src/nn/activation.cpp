#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <utility>

#include "linalg/row_ops.h"
#include "nn/apply.h"
#include "nn/products.h"
#include "nn/recorded.h"
#include "weft/core/error.h"

namespace weft::nn {
namespace {

constexpr std::array<std::pair<const char*, Activation>, 11> kActivationNames = {{
    {"gelu", Activation::kGelu},
    {"gelu_accurate", Activation::kGeluTanh},
    {"gelu_fast", Activation::kGeluTanh},
    {"gelu_new", Activation::kGeluTanh},
    {"gelu_python", Activation::kGelu},
    {"gelu_python_tanh", Activation::kGeluTanh},
    {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"relu", Activation::kRelu},
    {"silu", Activation::kSilu},
    {"swish", Activation::kSilu},
    {"tanh", Activation::kTanh},
}};

Tensor activation_of_operators(Activation activation, const Tensor& x) {
  switch (activation) {
    case Activation::kRelu: return at::relu(x);
    case Activation::kSilu: return at::silu(x);
    case Activation::kGelu: return at::gelu(x, "none");
    case Activation::kGeluTanh: return at::gelu(x, "tanh");
    case Activation::kTanh: return at::tanh(x);
  }
  return x;
}

}  // namespace

linalg::Activation kernel_of(Activation activation) {
  switch (activation) {
    case Activation::kRelu: return linalg::Activation::kRelu;
    case Activation::kSilu: return linalg::Activation::kSilu;
    case Activation::kGelu: return linalg::Activation::kGelu;
    case Activation::kGeluTanh: return linalg::Activation::kGeluTanh;
    case Activation::kTanh: return linalg::Activation::kTanh;
  }
  return linalg::Activation::kIdentity;
}

Activation parse_activation(const std::string& name, const std::string& where) {
  std::string known;
  for (const auto& [text, activation] : kActivationNames) {
    if (name == text) return activation;
    known += (known.empty() ? "" : ", ") + std::string(text);
  }
  throw UnsupportedError(fmt::format("{}: activation '{}' is not supported; known are {}", where, name, known));
}

Tensor activate(Activation activation, const Tensor& x) {
  if (!x.is_cpu() || x.scalar_type() != at::kFloat) return activation_of_operators(activation, x);
  if (records(x)) {
    const bool rows = x.dim() == 2 && x.stride(1) == 1;
    return rows ? recorded_activation(activation, x, {}) : activation_of_operators(activation, x);
  }
  const Tensor in = x.contiguous();
  Tensor out = at::empty_like(in);
  linalg::ActivateRows io;
  io.cols = in.dim() > 0 ? in.size(-1) : 1;
  io.rows = io.cols > 0 ? in.numel() / io.cols : 0;
  io.x = in.const_data_ptr<float>();
  io.y = out.mutable_data_ptr<float>();
  io.ldx = io.ldy = io.cols;
  linalg::activate(io, kernel_of(activation));
  return out;
}

Tensor activate_gate(Activation activation, const Tensor& gate, const Tensor& up) {
  const bool ours = gate.is_cpu() && gate.stride(1) == 1 && up.stride(1) == 1;
  if (!ours) return activation_of_operators(activation, gate) * up;
  if (records(gate) || records(up)) return recorded_activation(activation, gate, up);
  Tensor out = at::empty(gate.sizes(), gate.options());
  linalg::ActivateRows io;
  io.x = gate.const_data_ptr<float>(), io.ldx = gate.stride(0);
  io.up = up.const_data_ptr<float>(), io.ld_up = up.stride(0);
  io.y = out.mutable_data_ptr<float>(), io.ldy = out.stride(0);
  io.rows = gate.size(0), io.cols = gate.size(1);
  linalg::activate(io, kernel_of(activation));
  return out;
}

Tensor activate_halves(Activation activation, const Tensor& both) {
  const std::int64_t width = both.size(1) / 2;
  if (records(both) && both.is_cpu() && both.stride(1) == 1) return recorded_halves(activation, both);
  return activate_gate(activation, both.narrow(1, 0, width), both.narrow(1, width, width));
}

}  // namespace weft::nn
