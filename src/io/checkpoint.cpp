#include "io/checkpoint.h"

#include <fmt/format.h>

#include <iterator>
#include <set>

#include "io/json.h"
#include "weft/core/value.h"

namespace weft::io {

namespace fs = std::filesystem;

namespace {

// First components that a checkpoint may have where the model has none, and the other way round.
constexpr std::string_view kModelPrefixes[] = {"base_model", "model",   "transformer", "language_model", "gpt_neox",
                                               "bert",       "roberta", "distilbert",  "albert",         "deberta",
                                               "electra",    "mpnet",   "xlm_roberta", "module"};

/// The files that an index lists, by tensor. They must lie beside it.
std::map<std::string, std::string> index_map(const fs::path& index) {
  const Value root = read_json(index);
  const Value* map = root.is_map() ? root.find("weight_map") : nullptr;
  if (map == nullptr || !map->is_map())
    throw FormatError(index.string(), "expected an object with 'weight_map', a mapping from tensors to files");
  std::map<std::string, std::string> out;
  for (const auto& [tensor, file] : map->map) {
    if (!file.is_scalar() || fs::path(file.scalar).filename() != file.scalar || file.scalar == "..")
      throw FormatError(index.string(), fmt::format("weight_map['{}'] is {}, expected the name of a file beside it",
                                                    tensor, file.describe()));
    out.emplace(tensor, file.scalar);
  }
  return out;
}

/// The tensor files of a checkpoint folder, safetensors before pickles, one file before shards; `index` is set to what
/// lists shards.
std::vector<fs::path> checkpoint_files(const fs::path& folder, fs::path& index) {
  std::error_code ignored;
  for (const char* stem : {"model.safetensors", "diffusion_pytorch_model.safetensors", "pytorch_model.bin"}) {
    if (fs::exists(folder / stem, ignored)) return {folder / stem};
    index = folder / (std::string(stem) + ".index.json");
    if (!fs::exists(index, ignored)) continue;
    std::set<std::string> names;
    for (const auto& [tensor, file] : index_map(index)) names.insert(file);
    std::vector<fs::path> out;
    for (const std::string& name : names) {
      if (!fs::exists(folder / name, ignored))
        throw InputError(fmt::format(
            "{}: the shard '{}' is missing; expected it beside the index, so download it again", index.string(), name));
      out.push_back(folder / name);
    }
    return out;
  }
  throw InputError(
      fmt::format("{}: no base weights there; expected model.safetensors, pytorch_model.bin, or their index.json",
                  folder.string()));
}

/// Every tensor of an index must be in the file that it names.
void check_index(const fs::path& index, const std::map<std::string, CheckpointTensor, std::less<>>& tensors) {
  for (const auto& [tensor, file] : index_map(index)) {
    const auto at = tensors.find(tensor);
    if (at == tensors.end() || at->second.file->path().filename() != file)
      throw FormatError(index.string(), fmt::format("says that '{}' is in '{}', where it is not", tensor, file));
  }
}

}  // namespace

std::string_view without_model_prefixes(std::string_view name) {
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

Checkpoint Checkpoint::open(const fs::path& path) {
  Checkpoint out;
  out.path_ = path;
  fs::path index;
  const std::vector<fs::path> paths = fs::is_directory(path) ? checkpoint_files(path, index) : std::vector{path};
  for (const fs::path& file : paths) out.files_.push_back(open_tensor_file(file));
  for (const auto& file : out.files_)
    for (const TensorEntry& entry : file->entries()) {
      const CheckpointTensor tensor{file.get(), &entry};
      const auto [at, fresh] = out.by_name_.emplace(entry.name, tensor);
      if (!fresh)
        throw FormatError(path.string(),
                          fmt::format("'{}' is in both '{}' and '{}'", entry.name,
                                      at->second.file->path().filename().string(), file->path().filename().string()));
      out.by_core_.emplace(without_model_prefixes(entry.name), tensor);
    }
  std::error_code ignored;
  if (paths.size() != 1 || fs::exists(index, ignored)) check_index(index, out.by_name_);
  return out;
}

CheckpointTensor Checkpoint::find(std::string_view name, std::string& why) const {
  if (const auto at = by_name_.find(name); at != by_name_.end()) return at->second;
  const auto [first, last] = by_core_.equal_range(std::string(without_model_prefixes(name)));
  if (first != last && std::next(first) == last) return first->second;
  if (first != last) {
    why =
        fmt::format("'{}' may be '{}' or '{}'", name, first->second.entry->name, std::next(first)->second.entry->name);
    return {};
  }
  std::vector<std::string> names;
  for (const auto& [other, tensor] : by_name_) names.push_back(other);
  const std::string near = nearest(name, names);
  why = fmt::format("no tensor '{}', with or without the model's prefix{}", name,
                    near.empty() ? "" : fmt::format("; the nearest is '{}'", near));
  return {};
}

}  // namespace weft::io
