#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "nn/stacking.h"
#include "weft/core/parallel.h"

namespace weft::nn {
namespace {

using adapter::Adapter;

bool is_one_of(const std::string& variant) {
  static const char* const kAltering[] = {"kasa", "pissa", "olora", "corda", "lora_ga", "loftq"};
  return std::any_of(std::begin(kAltering), std::end(kAltering), [&](const char* name) { return variant == name; });
}

/// DoRA alone is put on the base when it runs; what was taken out of the base in training is added back to the update.
Adapter on_base(const Adapter& adapter, const adapter::BaseWeights* base) {
  const auto& info = adapter.info();
  const bool altered = std::any_of(info.variants.begin(), info.variants.end(), is_one_of);
  if (info.needs_base.empty() || !altered || !info.refusal.empty()) return adapter;
  const Adapter rebased = base == nullptr ? adapter : adapter::with_base(adapter, *base);
  if (!rebased.info().needs_base.empty())
    throw UnsupportedError(fmt::format("adapter '{}' cannot be attached: {}", info.name, rebased.info().needs_base));
  return rebased;
}

std::int64_t bytes_of(const Tensor& tensor) {
  return tensor.defined() ? static_cast<std::int64_t>(tensor.nbytes()) : 0;
}

std::int64_t bytes_of(const ModuleExperts& module) {
  std::int64_t out = bytes_of(module.b) + bytes_of(module.bias) + bytes_of(module.base_factor) +
                     bytes_of(module.column_expert) + bytes_of(module.column_scale);
  for (const auto& dense : module.dense) out += bytes_of(dense.weight);
  return out;
}

std::int64_t bytes_of(const Experts::Data& data) {
  std::int64_t out = 0;
  for (const auto& group : data.groups) {
    out += bytes_of(group.a);
    for (const auto& part : group.parts) out += bytes_of(part);
  }
  for (const auto& table : data.embeddings) out += bytes_of(table) + bytes_of(table.a);
  for (const auto& module : data.overrides)
    for (const auto* list : {&module.weight, &module.bias})
      for (const auto& replaced : *list) out += bytes_of(replaced.value) + bytes_of(replaced.rows);
  return out;
}

/// Where the experts of a place are kept, or nullptr for a norm.
ModuleExperts* experts_at(Experts::Data& data, const Site& site) {
  if (site.group != nullptr) return &data.groups[static_cast<size_t>(site.group->index)].parts[site.part];
  return site.embedding != nullptr ? &data.embeddings[static_cast<size_t>(site.embedding->index)] : nullptr;
}

void stack_updates(const std::vector<Adapter>& adapters, const Sites& sites, const Placement& placement, Log& log,
                   Experts::Data& data) {
  std::map<int, std::vector<const std::vector<Placed>*>> updates_of_group;
  std::vector<std::pair<const Site*, const std::vector<Placed>*>> places;  // one per group or table
  for (size_t i = 0; i < sites.all().size(); ++i) {
    const Site& site = sites.all()[i];
    if (site.group != nullptr) updates_of_group[site.group->index].push_back(&placement.updates[i]);
    if (site.norm == nullptr && site.part == 0) places.emplace_back(&site, &placement.updates[i]);
  }
  const auto count = static_cast<std::int64_t>(places.size());
  log.progress("attaching adapters", 0, count, "");
  parallel_for(count, default_threads(), [&](std::int64_t i) {
    const auto& [site, updates] = places[static_cast<size_t>(i)];
    if (site->group != nullptr)
      data.groups[static_cast<size_t>(site->group->index)] =
          stack_group(adapters, *site->group, updates_of_group.at(site->group->index));
    else
      data.embeddings[static_cast<size_t>(site->embedding->index)] =
          stack_embedding(adapters, *site->embedding, *updates);
  });
  log.progress("attaching adapters", count, count, "");
}

/// Numbers the modules that have an update, in the model's order.
void number_modules(const Sites& sites, const Placement& placement, Experts::Data& data) {
  std::map<std::string, ModuleOverrides*, std::less<>> overrides;
  for (auto& module : data.overrides) overrides.emplace(module.module, &module);
  for (size_t i = 0; i < sites.all().size(); ++i) {
    const Site& site = sites.all()[i];
    const auto replaced = overrides.find(site.name);
    if (placement.updates[i].empty() && replaced == overrides.end()) continue;
    const auto index = static_cast<std::int64_t>(data.modules.size());
    data.modules.push_back(site.name);
    ModuleExperts* experts = experts_at(data, site);
    if (experts != nullptr) experts->module = index;
    if (site.group != nullptr) data.groups[static_cast<size_t>(site.group->index)].any = true;
    if (replaced == overrides.end()) continue;
    replaced->second->index = index;
    if (experts != nullptr) experts->override = static_cast<int>(replaced->second - data.overrides.data());
  }
}

}  // namespace

Experts stack_experts(const adapter::Pool& pool, Network& network, const adapter::BaseWeights* base, Log& log) {
  const c10::NoGradGuard no_gradients;
  auto data = std::make_shared<Experts::Data>();
  std::vector<Adapter> adapters;
  for (const auto& adapter : pool.adapters()) {
    adapters.push_back(on_base(adapter, base));
    data->names.push_back(adapter.info().name);
  }
  const Sites sites(network);
  const Placement placement = place_adapters(adapters, sites, network, log);
  data->groups.resize(static_cast<size_t>(network.groups));
  data->embeddings.resize(static_cast<size_t>(network.embeddings));
  stack_updates(adapters, sites, placement, log, *data);
  for (size_t i = 0; i < sites.all().size(); ++i) {
    auto replaced = stack_overrides(adapters, sites.all()[i], placement.replacements[i]);
    if (!replaced.weight.empty() || !replaced.bias.empty()) data->overrides.push_back(std::move(replaced));
  }
  std::sort(data->overrides.begin(), data->overrides.end(),
            [](const ModuleOverrides& x, const ModuleOverrides& y) { return x.module < y.module; });
  number_modules(sites, placement, *data);
  data->bytes = bytes_of(*data);
  return Experts(std::move(data));
}

}  // namespace weft::nn
