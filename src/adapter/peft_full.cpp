#include "adapter/peft_full.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "adapter/pair_shape.h"

namespace weft::adapter {

namespace {

bool full_ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool has_save_infix(const FullTensor& t) { return t.key.find(".modules_to_save.") != std::string::npos; }

/// Whether `modules_to_save` names the module of a parameter, as PEFT compares: by how a name ends (`classifier` is
/// also DistilBERT's `pre_classifier`).
bool is_declared(const std::string& name, const PeftConfig& config) {
  return std::any_of(config.modules_to_save.begin(), config.modules_to_save.end(),
                     [&](const std::string& m) { return name.find(m + ".") != std::string::npos; });
}

FullTensor::Kind full_kind(const PeftFullKey& k, const std::set<std::string>& names, const PeftConfig& config) {
  const std::string& name = k.key.name;
  if (k.key.role == PeftRole::kTokenRows) return FullTensor::Kind::kTokenRows;
  if (!full_ends_with(name, ".bias")) return FullTensor::Kind::kModule;
  const bool with_weight = names.count(name.substr(0, name.size() - 4) + "weight") > 0;
  return with_weight || is_declared(name, config) ? FullTensor::Kind::kModule : FullTensor::Kind::kBias;
}

void check_token_rows(const FullTensor& t, const PeftConfig& config, const std::string& file) {
  if (t.shape.size() != 2)
    throw InputError(
        fmt::format("{}: tensor '{}' {} should be rows of an embedding", file, t.key, shape_text(t.shape)));
  if (config.token_rows.empty())
    throw InputError(fmt::format("{}: tensor '{}' holds token rows, but {} has no trainable_token_indices to say which",
                                 file, t.key, config.file));
  for (const auto& [module, rows] : config.token_rows) {
    const bool meant = module.empty() || full_ends_with("." + t.name, "." + module + ".weight");
    if (meant && (config.token_rows.size() == 1 || !module.empty()) && rows != t.shape[0])
      throw InputError(fmt::format("{}: tensor '{}' {} holds {} token rows, but {} lists {} tokens", file, t.key,
                                   shape_text(t.shape), t.shape[0], config.file, rows));
  }
}

FullTensor full_tensor(const PeftFullKey& k, const std::set<std::string>& names, const PeftConfig& config,
                       const std::string& file) {
  FullTensor t;
  t.key = k.entry->name;
  t.name = k.key.name;
  t.kind = full_kind(k, names, config);
  t.shape = k.entry->shape;
  t.dtype = k.entry->dtype;
  if (t.kind == FullTensor::Kind::kTokenRows) check_token_rows(t, config, file);
  return t;
}

void warn_of_undeclared(const std::vector<FullTensor>& tensors, const PeftConfig& config, const std::string& file,
                        std::vector<std::string>& warnings) {
  std::vector<std::string> heads, biases;
  for (const FullTensor& t : tensors) {
    if (t.kind == FullTensor::Kind::kModule && !is_declared(t.name, config)) heads.push_back(t.name);
    if (t.kind == FullTensor::Kind::kBias && config.bias == "none") biases.push_back(t.name);
  }
  if (!heads.empty())
    warnings.push_back(
        fmt::format("{}: stored whole, but not declared in modules_to_save: {}", file, fmt::join(heads, ", ")));
  if (!biases.empty())
    warnings.push_back(
        fmt::format("{}: biases are stored although bias is \"none\": {}", file, fmt::join(biases, ", ")));
}

}  // namespace

std::vector<FullTensor> peft_full_tensors(const std::vector<PeftFullKey>& keys, const PeftConfig& config,
                                          const std::string& file, std::vector<std::string>& warnings) {
  std::vector<FullTensor> out;
  if (keys.empty()) return out;
  std::set<std::string> names;
  for (const PeftFullKey& k : keys) names.insert(k.key.name);
  std::map<std::pair<std::string, bool>, size_t> seen;
  for (const PeftFullKey& k : keys) {
    FullTensor t = full_tensor(k, names, config, file);
    const auto [at, fresh] = seen.try_emplace({t.name, t.kind == FullTensor::Kind::kTokenRows}, out.size());
    if (fresh) {
      out.push_back(std::move(t));
      continue;
    }
    FullTensor& other = out[at->second];
    if (other.shape != t.shape)
      throw InputError(fmt::format("{}: tensors '{}' {} and '{}' {} both replace '{}'; keep one of them", file,
                                   other.key, shape_text(other.shape), t.key, shape_text(t.shape), t.name));
    const bool better = has_save_infix(t) && !has_save_infix(other);
    warnings.push_back(fmt::format("{}: '{}' and '{}' both replace '{}'; the {} one is used", file, other.key, t.key,
                                   t.name, better ? "second" : "first"));
    if (better) other = std::move(t);
  }
  warn_of_undeclared(out, config, file, warnings);
  return out;
}

}  // namespace weft::adapter
