#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "io/checkpoint.h"
#include "nn/stacking.h"

namespace weft::nn {
namespace {

using adapter::Adapter;
using adapter::FullTensor;
using adapter::LayerKind;
using adapter::ModuleInfo;

const char* const kWayOut = "is this the base the adapter was trained on?";

void check_usable(const Adapter& adapter) {
  const auto& info = adapter.info();
  if (!info.refusal.empty()) throw UnsupportedError(fmt::format("adapter '{}': {}", info.name, info.refusal));
  const Value* replication = info.config.is_map() ? info.config.find("layer_replication") : nullptr;
  if (replication != nullptr && !replication->list.empty())
    throw UnsupportedError(
        fmt::format("adapter '{}': layer_replication is not supported: its layer numbers are not "
                    "the base's",
                    info.name));
}

/// True for a module that nothing reads, so that an update of it does nothing.
bool is_idle(const Network& network, const std::string& module, const Adapter& adapter, Log& log) {
  const auto core = io::without_model_prefixes(module);
  if (std::find(network.idle.begin(), network.idle.end(), core) == network.idle.end()) return false;
  log.warning(
      fmt::format("adapter '{}' changes '{}', which this model never reads (transformers and PEFT neither): "
                  "that part does nothing",
                  adapter.info().name, module));
  return true;
}

/// `target_parameters` names a weight, the others its module.
std::string module_name(const ModuleInfo& module) {
  const std::string end = ".weight";
  const bool is_weight = module.name.size() > end.size() && module.name.ends_with(end);
  return is_weight ? module.name.substr(0, module.name.size() - end.size()) : module.name;
}

std::pair<std::int64_t, std::int64_t> shape_of(const Site& site) {
  if (const Linear* linear = site.linear()) return {linear->out, linear->in};
  return {site.embedding->weight.size(1), site.embedding->weight.size(0)};
}

void check_module(const Adapter& adapter, const ModuleInfo& module, const Site& site) {
  const auto& name = adapter.info().name;
  const Linear* linear = site.linear();
  const bool parameter = module.layer == LayerKind::kParameter;
  if (module.blocks > 1 || module.layer == LayerKind::kConv || (parameter && (linear == nullptr || linear->transposed)))
    throw UnsupportedError(fmt::format("adapter '{}': module '{}' is {}, which cannot be attached", name, module.name,
                                       parameter ? "a parameter of experts" : "a convolution"));
  const bool table = module.layer == LayerKind::kEmbedding;
  if (site.norm != nullptr || table != (site.embedding != nullptr))
    throw InputError(fmt::format("adapter '{}': its module '{}' is {}, but '{}' of the model is {}; {}", name,
                                 module.name, table ? "an embedding" : "a linear layer", site.name,
                                 site.norm != nullptr ? "a norm"
                                 : table              ? "a linear layer"
                                                      : "an embedding",
                                 kWayOut));
  const auto [out, in] = shape_of(site);
  if (module.out != out || module.in != in)
    throw InputError(
        fmt::format("adapter '{}': its update of module '{}' has the shape [{}, {}], but '{}' of the "
                    "model has [{}, {}]; {}",
                    name, module.name, module.out, module.in, site.name, out, in, kWayOut));
}

std::vector<std::int64_t> parameter_shape(const Site& site, bool bias) {
  if (const Linear* linear = site.linear()) {
    if (bias) return linear->bias.defined() ? linear->bias.sizes().vec() : std::vector<std::int64_t>{};
    return linear->weight.sizes().vec();
  }
  const Tensor& parameter = site.embedding != nullptr ? (bias ? Tensor() : site.embedding->weight)
                                                      : (bias ? site.norm->bias : site.norm->weight);
  return parameter.defined() ? parameter.sizes().vec() : std::vector<std::int64_t>{};
}

void check_replacement(const Adapter& adapter, const FullTensor& tensor, const Site& site, bool bias) {
  auto expected = parameter_shape(site, bias);
  if (expected.empty())
    throw InputError(fmt::format("adapter '{}': its tensor '{}' replaces '{}', but '{}' of the model has no {}; {}",
                                 adapter.info().name, tensor.key, tensor.name, site.name, bias ? "bias" : "weight",
                                 kWayOut));
  const bool rows = tensor.kind == FullTensor::Kind::kTokenRows;
  if (rows && (tensor.shape.size() == 2)) expected[0] = tensor.shape[0];
  if (tensor.shape != expected)
    throw InputError(fmt::format("adapter '{}': its tensor '{}' has the shape [{}], but '{}' of the model has [{}]; {}",
                                 adapter.info().name, tensor.key, fmt::join(tensor.shape, ", "), tensor.name,
                                 fmt::join(expected, ", "), kWayOut));
}

/// The head that reads the table of the input embedding, or -1.
std::int64_t tied_head(const Sites& sites, const Network& network) {
  const Tensor& table = network.input.tokens.weight;
  for (size_t i = 0; i < sites.all().size(); ++i) {
    const Linear* linear = sites.all()[i].linear();
    if (linear != nullptr && sites.all()[i].group->index == network.head.index && table.defined() &&
        linear->weight.const_data_ptr() == table.const_data_ptr())
      return static_cast<std::int64_t>(i);
  }
  return -1;
}

void place_tensor(const Adapter& adapter, std::int64_t expert, const FullTensor& tensor, const Sites& sites,
                  std::int64_t head, Placement& out) {
  const size_t dot = tensor.name.rfind('.');
  const std::string_view name = tensor.name;
  const std::string_view parameter = dot == std::string::npos ? "" : name.substr(dot + 1);
  if (parameter != "weight" && parameter != "bias")
    throw InputError(fmt::format("adapter '{}': its tensor '{}' is no weight or bias of a module of the model",
                                 adapter.info().name, tensor.key));
  std::string why;
  const std::int64_t site = sites.find(name.substr(0, dot), why);
  if (site < 0)
    throw InputError(fmt::format("adapter '{}': its tensor '{}' fits nothing: {}; {}", adapter.info().name, tensor.key,
                                 why, kWayOut));
  const bool bias = parameter == "bias";
  check_replacement(adapter, tensor, sites.all()[static_cast<size_t>(site)], bias);
  out.replacements[static_cast<size_t>(site)].push_back({expert, &tensor, bias, false});
  // PEFT lets a tied head follow the trained rows of the input embedding, but not a whole saved table.
  const bool follows = tensor.kind == FullTensor::Kind::kTokenRows && head >= 0 && head != site;
  if (follows) out.replacements[static_cast<size_t>(head)].push_back({expert, &tensor, bias, true});
}

// Rows that a head has of its own win over those it would share with the embedding.
void drop_shared(std::vector<Replacement>& replacements) {
  const auto has_own = [&](std::int64_t expert) {
    return std::any_of(replacements.begin(), replacements.end(),
                       [&](const Replacement& r) { return r.expert == expert && !r.shared && !r.bias; });
  };
  std::vector<Replacement> kept;
  for (const auto& r : replacements)
    if (!r.shared || !has_own(r.expert)) kept.push_back(r);
  replacements = std::move(kept);
}

}  // namespace

Placement place_adapters(const std::vector<Adapter>& adapters, const Sites& sites, const Network& network, Log& log) {
  Placement out;
  out.updates.resize(sites.all().size());
  out.replacements.resize(sites.all().size());
  const std::int64_t head = tied_head(sites, network);
  for (size_t e = 0; e < adapters.size(); ++e) {
    const auto expert = static_cast<std::int64_t>(e);
    check_usable(adapters[e]);
    for (const auto& warning : adapters[e].info().warnings) log.warning(warning);
    for (const auto& module : adapters[e].modules()) {
      if (is_idle(network, module.name, adapters[e], log)) continue;
      std::string why;
      const std::int64_t site = sites.find(module_name(module), why);
      if (site < 0)
        throw InputError(
            fmt::format("adapter '{}' does not fit the model: {}; {}", adapters[e].info().name, why, kWayOut));
      check_module(adapters[e], module, sites.all()[static_cast<size_t>(site)]);
      auto& placed = out.updates[static_cast<size_t>(site)];
      if (!placed.empty() && placed.back().expert == expert)
        throw InputError(fmt::format("adapter '{}': its modules '{}' and '{}' are the same module of the model",
                                     adapters[e].info().name, placed.back().info->name, module.name));
      placed.push_back({expert, &module});
    }
    for (const auto& tensor : adapters[e].full_tensors())
      if (!is_idle(network, tensor.name.substr(0, tensor.name.rfind('.')), adapters[e], log))
        place_tensor(adapters[e], expert, tensor, sites, head, out);
  }
  for (auto& replacements : out.replacements) drop_shared(replacements);
  return out;
}

}  // namespace weft::nn
