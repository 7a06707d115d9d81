#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "adapter/formats/formats.h"
#include "adapter/pair_shape.h"

namespace weft::adapter {

namespace {

/// `unet:12:up` as (`unet:12`, `up`); the part is empty when the key is something else.
std::pair<std::string_view, std::string_view> diffusion_split(std::string_view key) {
  const size_t last = key.rfind(':');
  if (last == std::string_view::npos || last == 0) return {key, {}};
  const size_t first = key.rfind(':', last - 1);
  const std::string_view part = key.substr(last + 1);
  if (first == std::string_view::npos || first == 0 || first + 1 == last || (part != "up" && part != "down"))
    return {key, {}};
  const std::string_view digits = key.substr(first + 1, last - first - 1);
  const bool number = std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  return number ? std::pair{key.substr(0, last), part} : std::pair{key, std::string_view()};
}

using DiffusionPair = std::pair<const io::TensorEntry*, const io::TensorEntry*>;  // down, up

ModuleEntry diffusion_module(const std::string& name, const DiffusionPair& pair, const std::string& file,
                             const std::unordered_map<std::string_view, std::string_view>& metadata) {
  if (pair.first == nullptr || pair.second == nullptr)
    throw InputError(fmt::format("{}: module '{}' has no '{}:{}'; the file is incomplete", file, name, name,
                                 pair.first == nullptr ? "down" : "up"));
  ModuleEntry out;
  out.info.name = name;
  describe_pair(*pair.first, *pair.second, file, out.info);
  out.keys.a = pair.first->name;
  out.keys.b = pair.second->name;
  out.info.alpha = static_cast<double>(out.info.rank);
  const auto at = metadata.find(name + ":rank");
  if (at == metadata.end()) return out;
  std::int64_t rank = 0;
  const auto [end, code] = std::from_chars(at->second.data(), at->second.data() + at->second.size(), rank);
  if (code != std::errc() || end != at->second.data() + at->second.size() || rank != out.info.rank)
    throw InputError(fmt::format("{}: tensor '{}' {} has rank {}, but the header's '{}:rank' is '{}'", file,
                                 pair.first->name, shape_text(pair.first->shape), out.info.rank, name, at->second));
  return out;
}

}  // namespace

bool is_lora_diffusion(const io::TensorFile& file) {
  return std::any_of(file.entries().begin(), file.entries().end(),
                     [](const io::TensorEntry& e) { return !diffusion_split(e.name).second.empty(); });
}

Adapter::Data read_lora_diffusion(const OpenedFile& opened) {
  Adapter::Data data;
  data.file = opened.tensors;
  data.info.path = opened.path;
  data.info.tensors = opened.tensors->path();
  data.info.format = "lora_diffusion";
  data.info.type = "lora";
  const std::string file = opened.tensors->path().string();
  std::unordered_map<std::string_view, std::string_view> metadata;
  for (const auto& [key, value] : opened.tensors->metadata()) metadata.emplace(key, value);
  std::map<std::string, DiffusionPair> pairs;
  std::vector<FullTensor> full;
  for (const io::TensorEntry& e : opened.tensors->entries()) {
    const auto [module, part] = diffusion_split(e.name);
    if (part.empty()) {
      full.push_back({e.name, e.name, FullTensor::Kind::kOther, e.shape, e.dtype});
      continue;
    }
    DiffusionPair& pair = pairs[std::string(module)];
    (part == "down" ? pair.first : pair.second) = &e;
  }
  std::vector<ModuleEntry> modules;
  for (const auto& [name, pair] : pairs) modules.push_back(diffusion_module(name, pair, file, metadata));
  data.contents = make_contents(std::move(modules), std::move(full), file);
  return data;
}

}  // namespace weft::adapter
