#include <ATen/ATen.h>
#include <fmt/format.h>

#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapter/finite.h"
#include "adapter/pair_shape.h"
#include "io/json.h"
#include "io/tensor_file.h"
#include "weft/adapter/base.h"

namespace weft::adapter {

namespace fs = std::filesystem;

namespace {

// First components that a checkpoint may have where the model has none, and the other way round.
constexpr std::string_view kModelPrefixes[] = {"base_model", "model",   "transformer", "language_model", "gpt_neox",
                                               "bert",       "roberta", "distilbert",  "albert",         "deberta",
                                               "electra",    "mpnet",   "xlm_roberta", "module"};

/// `model.layers.0.q` and `layers.0.q` are the same weight: the name without the usual prefixes.
std::string_view without_prefixes(std::string_view name) {
  for (bool cut = true; cut;) {
    cut = false;
    for (const std::string_view prefix : kModelPrefixes)
      if (name.size() > prefix.size() && name.starts_with(prefix) && name[prefix.size()] == '.') {
        name.remove_prefix(prefix.size() + 1);
        cut = true;
      }
  }
  return name;
}

/// The files that an index lists. They must lie beside it.
std::vector<fs::path> shards_of(const fs::path& index) {
  const Value root = io::read_json(index);
  const Value* map = root.is_map() ? root.find("weight_map") : nullptr;
  if (map == nullptr || !map->is_map())
    throw FormatError(index.string(), "expected an object with 'weight_map', a mapping from tensors to files");
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->map) {
    if (!file.is_scalar() || fs::path(file.scalar).filename() != file.scalar || file.scalar == "..")
      throw FormatError(index.string(), fmt::format("weight_map['{}'] is {}, expected the name of a file beside it",
                                                    tensor, file.describe()));
    names.insert(file.scalar);
  }
  std::vector<fs::path> out;
  for (const std::string& name : names) out.push_back(index.parent_path() / name);
  return out;
}

/// The tensor files of a checkpoint folder, safetensors before pickles, one file before shards.
std::vector<fs::path> checkpoint_files(const fs::path& folder) {
  std::error_code ignored;
  for (const char* stem : {"model.safetensors", "diffusion_pytorch_model.safetensors", "pytorch_model.bin"}) {
    if (fs::exists(folder / stem, ignored)) return {folder / stem};
    const fs::path index = folder / (std::string(stem) + ".index.json");
    if (fs::exists(index, ignored)) return shards_of(index);
  }
  throw InputError(
      fmt::format("{}: no base weights there; expected model.safetensors, pytorch_model.bin, or their index.json",
                  folder.string()));
}

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

/// A tensor of the checkpoint and the file it is in.
struct BaseTensor {
  const io::TensorFile* file = nullptr;
  const io::TensorEntry* entry = nullptr;
};

struct BaseWeights::Files {
  fs::path path;
  std::vector<std::unique_ptr<io::TensorFile>> files;
  std::map<std::string, BaseTensor, std::less<>> by_name;
  std::multimap<std::string, BaseTensor, std::less<>> by_core;  // without prefixes
  // By the last component of a module's name: how many weights [out, in] and [in, out] there are, as their biases tell.
  std::map<std::string, std::pair<int, int>, std::less<>> orientations;

  void index_names() {
    for (const auto& file : files)
      for (const io::TensorEntry& entry : file->entries()) {
        by_name.emplace(entry.name, BaseTensor{file.get(), &entry});
        by_core.emplace(without_prefixes(entry.name), BaseTensor{file.get(), &entry});
      }
    for (const auto& [name, tensor] : by_name) note_orientation(name, tensor.entry->shape);
  }

  void note_orientation(std::string_view name, const std::vector<std::int64_t>& shape) {
    constexpr std::string_view kWeight = ".weight";
    if (!name.ends_with(kWeight) || shape.size() != 2 || shape[0] == shape[1]) return;
    const std::string module(name.substr(0, name.size() - kWeight.size()));
    const auto bias = by_name.find(module + ".bias");
    if (bias == by_name.end() || bias->second.entry->shape.size() != 1) return;
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
  BaseTensor find(const ModuleInfo& module, std::string& why) const {
    const std::string wanted = module.name + ".weight";
    if (const auto at = by_name.find(wanted); at != by_name.end()) return at->second;
    const auto [first, last] = by_core.equal_range(without_prefixes(wanted));
    if (first != last && std::next(first) == last) return first->second;
    if (first != last) {
      why = fmt::format("'{}' may be '{}' or '{}'", wanted, first->second.entry->name,
                        std::next(first)->second.entry->name);
      return {};
    }
    std::vector<std::string> names;
    for (const auto& [name, tensor] : by_name) names.push_back(name);
    const std::string near = nearest(wanted, names);
    why = fmt::format("no tensor '{}', with or without the model's prefix{}", wanted,
                      near.empty() ? "" : fmt::format("; the nearest is '{}'", near));
    return {};
  }

  BaseTensor need(const ModuleInfo& module) const {
    std::string why;
    const BaseTensor found = find(module, why);
    if (found.entry == nullptr) throw InputError(fmt::format("{}: module {}: {}", path.string(), module.name, why));
    return found;
  }
};

BaseWeights BaseWeights::open(const fs::path& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (!fs::exists(status))
    throw InputError(
        fmt::format("base_model '{}': no such folder; these deltas depend on the base's weights, so give the local "
                    "folder that holds them (config.json, model.safetensors)",
                    path.string()));
  auto files = std::make_shared<Files>();
  files->path = path;
  const std::vector<fs::path> paths = fs::is_directory(status) ? checkpoint_files(path) : std::vector<fs::path>{path};
  for (const fs::path& file : paths) files->files.push_back(io::open_tensor_file(file));
  files->index_names();
  return BaseWeights(std::move(files));
}

const fs::path& BaseWeights::path() const { return files_->path; }

std::string BaseWeights::misfit(const ModuleInfo& module) const {
  std::string why;
  const BaseTensor found = files_->find(module, why);
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
  if (!why.empty()) throw InputError(fmt::format("{}: module {}: {}", files_->path.string(), module.name, why));
  const BaseTensor found = files_->need(module);
  const Tensor weight = load_finite(*found.file, found.entry->name, "base model");
  if (module.layer == LayerKind::kConv) return weight.reshape({weight.size(0), -1});
  return is_transposed(module, fan_in_fan_out) ? weight.t() : weight;
}

void BaseWeights::release(const ModuleInfo& module) const {
  std::string ignored;
  const BaseTensor found = files_->find(module, ignored);
  if (found.entry != nullptr) found.file->release(found.entry->name);
}

}  // namespace weft::adapter
