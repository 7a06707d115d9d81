#include "adapter/writer_layout.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "adapter/adapter_data.h"
#include "adapter/peft_experts.h"
#include "io/tensor_file.h"

namespace weft::adapter {
namespace {

struct ScaleSplit {
  double b = 1.0, a = 1.0;
};

/// |s|^1/2 on each side, the sign on a. Powers of two (alpha / r mostly is one) are split into powers of two, so that
/// folding them changes no digit.
ScaleSplit split_scale(double scale) {
  int exponent = 0;
  const double mantissa = std::frexp(std::abs(scale), &exponent);
  ScaleSplit split;
  if (mantissa == 0.5) {
    const int whole = exponent - 1;
    const int low = whole >= 0 ? whole / 2 : -((1 - whole) / 2);
    split.a = std::ldexp(1.0, low);
    split.b = std::ldexp(1.0, whole - low);
  } else {
    split.a = split.b = std::sqrt(std::abs(scale));
  }
  if (scale < 0) split.a = -split.a;
  return split;
}

/// `tensor * factor`, in at least single precision when something has to be computed.
Tensor scaled_factor(const Tensor& tensor, double factor, c10::ScalarType dtype) {
  if (factor == 1.0) return tensor;
  const bool wide = dtype == c10::ScalarType::Double || tensor.scalar_type() == c10::ScalarType::Double;
  return tensor.to(wide ? c10::ScalarType::Double : c10::ScalarType::Float).mul(factor);
}

/// Zeros appended along `dim` up to `size`.
Tensor padded(const Tensor& tensor, std::int64_t dim, std::int64_t size) {
  if (tensor.size(dim) == size) return tensor;
  std::vector<std::int64_t> shape = tensor.sizes().vec();
  shape[static_cast<size_t>(dim)] = size - tensor.size(dim);
  return at::cat({tensor, at::zeros(shape, tensor.options())}, dim);
}

void check_block_shapes(const ModuleInfo& module, const std::vector<LowRank>& blocks, const Tensor& bias) {
  if (static_cast<std::int64_t>(blocks.size()) != module.blocks)
    throw UsageError(
        fmt::format("module {}: got {} blocks to write, expected {}", module.name, blocks.size(), module.blocks));
  const std::int64_t rows = module.layer == LayerKind::kConv ? module.out / module.blocks : module.out;
  for (const LowRank& block : blocks) {
    const bool fits = block.b.defined() && block.a.defined() && block.b.dim() == 2 && block.a.dim() == 2 &&
                      block.b.size(0) == rows && block.a.size(1) == module.in && block.b.size(1) == block.a.size(0);
    if (!fits)
      throw UsageError(fmt::format(
          "module {}: got factors {} and {} to write, expected [{}, r] and [r, {}]", module.name,
          block.b.defined() ? fmt::format("{}", fmt::join(block.b.sizes(), "x")) : "none",
          block.a.defined() ? fmt::format("{}", fmt::join(block.a.sizes(), "x")) : "none", rows, module.in));
    if (!std::isfinite(block.scale))
      throw InputError(
          fmt::format("module {}: its scale is {}, which is not a finite number", module.name, block.scale));
  }
  if (bias.defined() && (bias.dim() != 1 || bias.size(0) != module.out))
    throw UsageError(fmt::format("module {}: got a bias [{}] to write, expected [{}]", module.name,
                                 fmt::join(bias.sizes(), ", "), module.out));
}

/// Stacks of all blocks in the shapes PEFT stores.
void shape_for_peft(const ModuleInfo& module, const std::vector<Tensor>& a, const std::vector<Tensor>& b,
                    ModuleLayout& out) {
  if (module.layer == LayerKind::kParameter) {
    out.a = at::cat(a, 0);                              // expert-major: (E, r, in) as rows
    out.b = at::stack(b, 2).reshape({module.out, -1});  // expert-minor: (out, r, E)
    return;
  }
  out.a = a.size() == 1 ? a[0] : at::cat(a, 0);
  out.b = b.size() == 1 ? b[0] : at::cat(b, 0);
  if (module.layer != LayerKind::kConv) return;
  std::int64_t points = 1;
  for (const std::int64_t k : module.kernel) points *= k;
  std::vector<std::int64_t> shape_a{out.a.size(0), module.in / std::max<std::int64_t>(points, 1)};
  std::vector<std::int64_t> shape_b{out.b.size(0), out.b.size(1)};
  shape_a.insert(shape_a.end(), module.kernel.begin(), module.kernel.end());
  shape_b.insert(shape_b.end(), module.kernel.size(), 1);
  out.a = out.a.reshape(shape_a);
  out.b = out.b.reshape(shape_b);
}

}  // namespace

WrittenKeys written_keys(LayerKind layer, const std::string& path) {
  const std::string stem = "base_model.model." + path;
  if (layer == LayerKind::kEmbedding)
    return {stem + ".lora_embedding_A", stem + ".lora_embedding_B", stem + ".lora_B.bias"};
  return {stem + ".lora_A.weight", stem + ".lora_B.weight", stem + ".lora_B.bias"};
}

std::vector<std::string> expert_order(const std::vector<Adapter>& inputs) {
  std::vector<std::string> out;
  for (const Adapter& adapter : inputs) {
    const Contents& contents = *adapter.data().contents;
    std::vector<size_t> experts;
    for (size_t i = 0; i < contents.modules.size(); ++i)
      if (contents.modules[i].layer == LayerKind::kParameter) experts.push_back(i);
    std::stable_sort(experts.begin(), experts.end(),
                     [&](size_t x, size_t y) { return contents.keys[x].depth > contents.keys[y].depth; });
    for (const size_t i : experts)
      if (std::find(out.begin(), out.end(), contents.modules[i].name) == out.end())
        out.push_back(contents.modules[i].name);
  }
  return out;
}

std::vector<std::string> wrapped_paths(const std::vector<ModuleInfo>& modules, const std::vector<std::string>& order) {
  std::map<std::string, std::map<std::string, size_t>> holders;  // module -> its parameters -> their index
  std::vector<std::string> paths;
  for (size_t i = 0; i < modules.size(); ++i) {
    paths.push_back(modules[i].name);
    const size_t dot = modules[i].name.rfind('.');
    if (modules[i].layer == LayerKind::kParameter && dot != std::string::npos)
      holders[paths[i].substr(0, dot)][paths[i].substr(dot + 1)] = i;
  }
  PeftConfig config;  // the reader decides on the depth from what the output's config will say
  config.target_parameters = order;
  for (const auto& [holder, members] : holders) {
    std::string ignored;
    std::string path = holder;
    for (const std::string& name : expert_parameters(config, holder, static_cast<int>(members.size()), ignored)) {
      paths[members.at(name)] = path;
      path += ".base_layer";
    }
  }
  return paths;
}

Tensor cast_checked(const Tensor& tensor, c10::ScalarType dtype, const std::string& what) {
  const Tensor source = tensor.device().is_cpu() ? tensor : tensor.cpu();
  Tensor out = source.to(dtype).contiguous();
  if (!at::isFloatingType(dtype) || at::isfinite(out).all().item<bool>()) return out;
  if (!at::isfinite(source).all().item<bool>())
    throw InputError(fmt::format("{}: holds NaN or Inf, which no adapter may hold", what));
  const double largest = source.to(c10::ScalarType::Double).abs().max().item<double>();
  throw InputError(fmt::format("{}: the value {:.6g} does not fit {}; write {} instead (--dtype)", what, largest,
                               io::dtype_name(dtype),
                               dtype == c10::ScalarType::Half ? "bfloat16 or float32" : "float32 or float64"));
}

ModuleLayout lay_out(const ModuleInfo& module, const std::vector<LowRank>& blocks, const Tensor& bias,
                     c10::ScalarType dtype) {
  check_block_shapes(module, blocks, bias);
  std::int64_t rank = 1;  // PEFT knows no rank 0: an empty update becomes one of zeros
  for (const LowRank& block : blocks) rank = std::max(rank, block.a.size(0));
  std::vector<Tensor> a, b;
  for (const LowRank& block : blocks) {
    const ScaleSplit split = split_scale(block.scale);
    a.push_back(padded(cast_checked(scaled_factor(block.a, split.a, dtype), dtype, "module " + module.name), 0, rank));
    b.push_back(padded(cast_checked(scaled_factor(block.b, split.b, dtype), dtype, "module " + module.name), 1, rank));
  }
  ModuleLayout out;
  out.rank = module.layer == LayerKind::kConv ? rank * module.blocks : rank;
  shape_for_peft(module, a, b, out);
  out.a = out.a.contiguous();
  out.b = out.b.contiguous();
  if (bias.defined()) out.bias = cast_checked(bias, dtype, "bias of module " + module.name);
  return out;
}

}  // namespace weft::adapter
