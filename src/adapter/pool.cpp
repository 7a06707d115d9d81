#include "weft/adapter/pool.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "adapter/names.h"
#include "adapter/pool_remarks.h"
#include "core/natural.h"
#include "io/json.h"
#include "weft/core/error.h"
#include "weft/core/parallel.h"

namespace weft::adapter {
namespace {

constexpr size_t kMisfitsShown = 20;  // one screen; the rest is counted

std::vector<std::string> source_names(const std::vector<Pool::Source>& sources) {
  std::vector<std::filesystem::path> unnamed;
  std::vector<std::string> taken;
  for (const auto& source : sources) {
    if (source.name.empty())
      unnamed.push_back(source.path);
    else
      taken.push_back(source.name);
  }
  const std::vector<std::string> found = distinctive_names(unnamed, taken);
  std::vector<std::string> names;
  size_t next = 0;
  for (const auto& source : sources) names.push_back(source.name.empty() ? found[next++] : source.name);
  return names;
}

void refuse_equal_names(const std::vector<Adapter>& adapters) {
  std::unordered_map<std::string_view, const Adapter*> seen;
  for (const Adapter& adapter : adapters) {
    const auto [at, fresh] = seen.emplace(adapter.info().name, &adapter);
    if (fresh) continue;
    throw UsageError(
        fmt::format("two adapters are called '{}': {} and {}; give one of them another name with NAME=PATH",
                    adapter.info().name, at->second->info().path.string(), adapter.info().path.string()));
  }
}

/// Throws what the failed openings have to say: the one error as it is, or one error that lists them all.
void report_failures(const std::vector<std::exception_ptr>& failures) {
  std::vector<std::string> texts;
  std::exception_ptr first;
  for (const auto& failure : failures) {
    if (!failure) continue;
    if (!first) first = failure;
    try {
      std::rethrow_exception(failure);
    } catch (const Error& e) {
      texts.emplace_back(e.what());
    }  // anything else (out of memory) is not about one adapter and passes through
  }
  if (texts.size() == 1) std::rethrow_exception(first);
  if (!texts.empty())
    throw InputError(fmt::format("{} of {} adapters cannot be opened:\n  {}", texts.size(), failures.size(),
                                 fmt::join(texts, "\n  ")));
}

/// A key that is equal exactly for modules that fit the same base weight.
std::string fit_key(const ModuleInfo& m) {
  return fmt::format("{}/{}/{}/{}/{}", static_cast<int>(m.layer), m.out, m.in, m.blocks, fmt::join(m.kernel, "x"));
}

std::string describe_fit(const ModuleInfo& m) {
  std::string out = fmt::format("[{}, {}]", m.out, m.in);
  switch (m.layer) {
    case LayerKind::kLinear: break;
    case LayerKind::kConv:
      out += m.kernel.empty() ? " of a convolution"
                              : fmt::format(" of a convolution with kernel {}", fmt::join(m.kernel, "x"));
      if (m.blocks > 1) out += fmt::format(" in {} groups", m.blocks);
      break;
    case LayerKind::kEmbedding: out += " of an embedding"; break;
    case LayerKind::kParameter: out += fmt::format(" of {} experts", m.blocks); break;
  }
  return out;
}

/// `module X: a is [2304, 768], b (and 3 more) is [3072, 1024]`, or nothing when all owners agree.
std::string misfit_of(const PoolModule& module, const std::vector<Adapter>& adapters) {
  struct Party {
    std::string key;
    const ModuleInfo* info;
    int first;
    size_t count;
  };
  std::vector<Party> parties;
  for (size_t k = 0; k < module.owners.size(); ++k) {
    const int owner = module.owners[k];
    const ModuleInfo& info = adapters[static_cast<size_t>(owner)].modules()[static_cast<size_t>(module.slots[k])];
    const std::string key = fit_key(info);
    const auto at = std::find_if(parties.begin(), parties.end(), [&](const Party& p) { return p.key == key; });
    if (at == parties.end())
      parties.push_back({key, &info, owner, 1});
    else
      ++at->count;
  }
  if (parties.size() < 2) return {};
  std::vector<std::string> texts;
  for (const Party& p : parties) {
    const std::string& name = adapters[static_cast<size_t>(p.first)].info().name;
    texts.push_back(p.count == 1 ? fmt::format("{} is {}", name, describe_fit(*p.info))
                                 : fmt::format("{} (and {} more) is {}", name, p.count - 1, describe_fit(*p.info)));
  }
  return fmt::format("module {}: {}", module.info.name, fmt::join(texts, ", "));
}

bool same_fit(const ModuleInfo& a, const ModuleInfo& b) {
  return a.layer == b.layer && a.out == b.out && a.in == b.in && a.blocks == b.blocks && a.kernel == b.kernel;
}

std::vector<PoolModule> union_of_modules(const std::vector<Adapter>& adapters, std::vector<bool>& misfit) {
  struct Slot {
    PoolModule module;
    bool misfit = false;
  };
  std::vector<Slot> slots;
  std::unordered_map<std::string_view, size_t> index;  // names live in the adapters
  for (size_t i = 0; i < adapters.size(); ++i) {
    const auto& modules = adapters[i].modules();
    for (size_t k = 0; k < modules.size(); ++k) {
      const auto [at, fresh] = index.emplace(modules[k].name, slots.size());
      if (fresh) {
        slots.emplace_back();
        slots.back().module.info = modules[k];
        slots.back().module.info.scale = 1.0;
        slots.back().module.info.load_flops = 0.0;
      }
      Slot& slot = slots[at->second];
      slot.misfit = slot.misfit || !same_fit(slot.module.info, modules[k]);
      slot.module.info.rank = std::max(slot.module.info.rank, modules[k].rank);
      slot.module.info.has_bias = slot.module.info.has_bias || modules[k].has_bias;
      slot.module.info.has_magnitude = slot.module.info.has_magnitude || modules[k].has_magnitude;
      slot.module.info.has_diagonal = slot.module.info.has_diagonal || modules[k].has_diagonal;
      slot.module.info.has_dense = slot.module.info.has_dense || modules[k].has_dense;
      slot.module.info.load_flops += modules[k].load_flops;
      slot.module.info.load_memory = std::max(slot.module.info.load_memory, modules[k].load_memory);
      slot.module.rank_sum += modules[k].rank;
      slot.module.owners.push_back(static_cast<int>(i));
      slot.module.slots.push_back(static_cast<int>(k));
    }
  }
  std::sort(slots.begin(), slots.end(),
            [](const Slot& a, const Slot& b) { return natural_less(a.module.info.name, b.module.info.name); });
  std::vector<PoolModule> out;
  out.reserve(slots.size());
  for (Slot& slot : slots) {
    out.push_back(std::move(slot.module));
    misfit.push_back(slot.misfit);
  }
  return out;
}

std::vector<PoolTensor> union_of_tensors(const std::vector<Adapter>& adapters) {
  std::vector<PoolTensor> out;
  std::unordered_map<std::string_view, size_t> index;
  for (size_t i = 0; i < adapters.size(); ++i)
    for (const FullTensor& tensor : adapters[i].full_tensors()) {
      const auto [at, fresh] = index.emplace(tensor.key, out.size());
      if (fresh) out.push_back({tensor, {}});
      out[at->second].owners.push_back(static_cast<int>(i));
    }
  std::sort(out.begin(), out.end(),
            [](const PoolTensor& a, const PoolTensor& b) { return natural_less(a.info.key, b.info.key); });
  return out;
}

/// Adapters of differently replicated layer stacks number their layers differently, so equal names mean nothing.
std::string replication_misfit(const std::vector<Adapter>& adapters) {
  const auto spelled = [](const Adapter& adapter) {
    const Value* value = adapter.info().config.is_map() ? adapter.info().config.find("layer_replication") : nullptr;
    return value == nullptr || value->list.empty() ? std::string("none") : io::to_json(*value, -1);
  };
  const std::string first = adapters.empty() ? std::string() : spelled(adapters.front());
  for (const Adapter& adapter : adapters) {
    const std::string own = spelled(adapter);
    if (own != first)
      return fmt::format("layer_replication: {} has {}, {} has {}", adapters.front().info().name, first,
                         adapter.info().name, own);
  }
  return {};
}

}  // namespace

Pool Pool::open(const std::vector<Source>& sources) {
  if (sources.empty()) throw UsageError("no adapters given; expected at least one path");
  const std::vector<std::string> names = source_names(sources);
  std::vector<std::optional<Adapter>> opened(sources.size());
  std::vector<std::exception_ptr> failures(sources.size());
  parallel_for(static_cast<std::int64_t>(sources.size()), 0, [&](std::int64_t at) {
    const auto i = static_cast<size_t>(at);
    try {
      opened[i] = Adapter::open(sources[i].path, names[i]);
    } catch (...) {
      failures[i] = std::current_exception();  // every bad adapter is reported, not only the first
    }
  });
  report_failures(failures);
  std::vector<Adapter> adapters;
  adapters.reserve(opened.size());
  for (auto& adapter : opened) adapters.push_back(std::move(*adapter));
  return Pool(std::move(adapters));
}

Pool::Pool(std::vector<Adapter> adapters) : adapters_(std::move(adapters)) {
  refuse_equal_names(adapters_);
  survey();
}

void Pool::survey() {
  std::vector<bool> misfit;
  modules_ = union_of_modules(adapters_, misfit);
  for (size_t i = 0; i < modules_.size(); ++i)
    if (misfit[i]) misfits_.push_back(misfit_of(modules_[i], adapters_));
  if (std::string text = replication_misfit(adapters_); !text.empty()) misfits_.push_back(std::move(text));
  full_tensors_ = union_of_tensors(adapters_);
  warnings_ = pool_remarks(*this);
}

void Pool::check_compatible() const {
  if (misfits_.empty()) return;
  std::string text = fmt::format("these adapters do not belong to one base model; {} of {} modules differ: {}",
                                 misfits_.size(), modules_.size(), misfits_[0]);
  for (size_t i = 1; i < std::min(misfits_.size(), kMisfitsShown); ++i) text += "\n  " + misfits_[i];
  if (misfits_.size() > kMisfitsShown) text += fmt::format("\n  and {} more", misfits_.size() - kMisfitsShown);
  throw InputError(text);
}

}  // namespace weft::adapter
