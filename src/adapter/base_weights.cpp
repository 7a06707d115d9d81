#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapter/finite.h"
#include "adapter/pair_shape.h"
#include "io/checkpoint.h"
#include "io/tensor_file.h"
#include "weft/adapter/base.h"

namespace weft::adapter {

namespace fs = std::filesystem;

namespace {

bool is_weight_dtype(c10::ScalarType t) {
  return t == at::kFloat || t == at::kBFloat16 || t == at::kHalf || t == at::kDouble;
}

/// The shape that the weight of a module has in a checkpoint.
std::vector<std::int64_t> weight_shape(const ModuleInfo& m) {
  if (m.layer == LayerKind::kEmbedding) return {m.in, m.out};
  if (m.layer != LayerKind::kConv) return {m.out, m.in};
  std::vector<std::int64_t> shape = {m.out, m.in};
  for (const std::int64_t k : m.kernel) shape[1] /= k;
  shape.insert(shape.end(), m.kernel.begin(), m.kernel.end());
  return shape;
}

/// `c_proj` of `h.0.attn.c_proj`.
std::string_view last_component(std::string_view module) {
  const size_t dot = module.rfind('.');
  return dot == std::string_view::npos ? module : module.substr(dot + 1);
}

}  // namespace

struct BaseWeights::Files {
  io::Checkpoint checkpoint;
  // By the last component of a module's name: how many weights [out, in] and [in, out] there are, as their biases tell.
  std::map<std::string, std::pair<int, int>, std::less<>> orientations;

  explicit Files(io::Checkpoint opened) : checkpoint(std::move(opened)) {
    for (const auto& [name, tensor] : checkpoint.tensors()) note_orientation(name, tensor.entry->shape);
  }

  void note_orientation(std::string_view name, const std::vector<std::int64_t>& shape) {
    constexpr std::string_view kWeight = ".weight";
    if (!name.ends_with(kWeight) || shape.size() != 2 || shape[0] == shape[1]) return;
    const std::string module(name.substr(0, name.size() - kWeight.size()));
    const auto bias = checkpoint.tensors().find(module + ".bias");
    if (bias == checkpoint.tensors().end() || bias->second.entry->shape.size() != 1) return;
    auto& [upright, turned] = orientations[std::string(last_component(module))];
    upright += bias->second.entry->shape[0] == shape[0];
    turned += bias->second.entry->shape[0] == shape[1];
  }

  /// Whether a square weight is stored [in, out]: as weights of the same name are that are not square, else as the
  /// adapter says. (Adapters of GPT-2 often say fan_in_fan_out: false, although its Conv1D is stored [in, out].)
  bool square_is_turned(const std::string& module, bool fan_in_fan_out) const {
    const auto at = orientations.find(last_component(module));
    if (at == orientations.end() || (at->second.first > 0) == (at->second.second > 0)) return fan_in_fan_out;
    return at->second.second > 0;
  }

  /// The weight of `module`, or why there is none in `why`.
  io::CheckpointTensor find(const ModuleInfo& module, std::string& why) const {
    return checkpoint.find(module.name + ".weight", why);
  }

  io::CheckpointTensor need(const ModuleInfo& module) const {
    std::string why;
    const io::CheckpointTensor found = find(module, why);
    if (found.entry == nullptr)
      throw InputError(fmt::format("{}: module {}: {}", checkpoint.path().string(), module.name, why));
    return found;
  }
};

BaseWeights BaseWeights::open(const fs::path& path) {
  std::error_code failed;
  if (!fs::exists(path, failed))
    throw InputError(
        fmt::format("base_model '{}': no such folder; these deltas depend on the base's weights, so give the local "
                    "folder that holds them (config.json, model.safetensors)",
                    path.string()));
  return BaseWeights(std::make_shared<Files>(io::Checkpoint::open(path)));
}

const fs::path& BaseWeights::path() const { return files_->checkpoint.path(); }

std::string BaseWeights::misfit(const ModuleInfo& module) const {
  std::string why;
  const io::CheckpointTensor found = files_->find(module, why);
  if (found.entry == nullptr) return why;
  const std::vector<std::int64_t> expected = weight_shape(module);
  const std::vector<std::int64_t>& shape = found.entry->shape;
  const bool linear = module.layer == LayerKind::kLinear;
  const std::string where = fmt::format("{}: '{}'", found.file->path().filename().string(), found.entry->name);
  if (!is_weight_dtype(found.entry->dtype))
    return fmt::format("{} is {}, expected float32, bfloat16, float16 or float64; give the base before quantisation",
                       where, io::dtype_name(found.entry->dtype));
  if (shape == expected || (linear && shape == std::vector<std::int64_t>{module.in, module.out})) return {};
  return fmt::format("{} is {}, but the adapter's delta needs {}{}", where, shape_text(shape), shape_text(expected),
                     linear ? fmt::format(" or {}", shape_text({module.in, module.out})) : "");
}

bool BaseWeights::is_transposed(const ModuleInfo& module, bool fan_in_fan_out) const {
  if (module.layer == LayerKind::kEmbedding) return true;
  if (module.layer != LayerKind::kLinear) return false;
  if (module.out == module.in) return files_->square_is_turned(module.name, fan_in_fan_out);
  return files_->need(module).entry->shape[0] == module.in;
}

Tensor BaseWeights::load(const ModuleInfo& module, bool fan_in_fan_out) const {
  const std::string why = misfit(module);
  if (!why.empty())
    throw InputError(fmt::format("{}: module {}: {}", files_->checkpoint.path().string(), module.name, why));
  const io::CheckpointTensor found = files_->need(module);
  const Tensor weight = load_finite(*found.file, found.entry->name, "base model");
  if (module.layer == LayerKind::kConv) return weight.reshape({weight.size(0), -1});
  return is_transposed(module, fan_in_fan_out) ? weight.t() : weight;
}

void BaseWeights::release(const ModuleInfo& module) const {
  std::string ignored;
  const io::CheckpointTensor found = files_->find(module, ignored);
  if (found.entry != nullptr) found.file->release(found.entry->name);
}

}  // namespace weft::adapter
