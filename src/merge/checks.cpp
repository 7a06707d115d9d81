#include "merge/checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace weft::merge {

namespace {

bool plain_sum(const MergeSpec& spec) { return spec.sparsify == Sparsify::kNone && spec.consensus == Consensus::kNone; }

Value config_entry(const adapter::Adapter& a, std::string_view key) {
  const Value& config = a.info().config;
  const Value* found = config.is_map() ? config.find(key) : nullptr;
  return found == nullptr ? Value{} : *found;
}

/// Names of adapters whose entry differs from the first one's.
bool entries_differ(const adapter::Pool& pool, std::string_view key) {
  const Value first = config_entry(pool.adapters()[0], key);
  return std::any_of(pool.adapters().begin(), pool.adapters().end(),
                     [&](const adapter::Adapter& a) { return !first.same_as(config_entry(a, key)); });
}

void refuse_adapters(const adapter::Pool& pool, std::vector<std::string>& reasons) {
  for (const adapter::Adapter& a : pool.adapters()) {
    const adapter::AdapterInfo& info = a.info();
    if (!info.refusal.empty())
      reasons.push_back(fmt::format("{}: {}", info.name, info.refusal));
    else if (!info.needs_base.empty())
      reasons.push_back(
          fmt::format("{}: {}; alone with weight 1 under linear, task_arithmetic or cat it is carried over whole",
                      info.name, info.needs_base));
  }
  if (entries_differ(pool, "alora_invocation_tokens"))
    reasons.emplace_back(
        "alora: the adapters are switched on by different invocation tokens (alora_invocation_tokens); only adapters "
        "with the same tokens can be composed");
  if (entries_differ(pool, "layer_replication"))
    reasons.emplace_back(
        "layer_replication differs between the adapters, so their layer numbers mean different layers");
}

std::string owners_and_ranks(const adapter::Pool& pool, const adapter::PoolModule& m) {
  std::string out;
  for (size_t i = 0; i < m.owners.size(); ++i) {
    const adapter::Adapter& a = pool.adapters()[static_cast<size_t>(m.owners[i])];
    out += fmt::format("{}{} has {}", i == 0 ? "" : ", ", a.info().name,
                       a.modules()[static_cast<size_t>(m.slots[i])].rank);
  }
  return out;
}

void refuse_modules(const adapter::Pool& pool, const MergeSpec& spec, std::vector<std::string>& reasons) {
  constexpr size_t kMost = 20;
  size_t unequal = 0, dense = 0;
  for (const adapter::PoolModule& m : pool.modules()) {
    if (reasons.size() > kMost) break;
    if (m.info.layer == adapter::LayerKind::kConv && m.info.blocks > 1 && !plain_sum(spec))
      reasons.push_back(
          fmt::format("{}: a grouped convolution can only be summed (linear, task_arithmetic, cat, svd)", m.info.name));
    if (spec.space != Space::kFactors) continue;
    if (m.info.has_dense && dense++ == 0)
      reasons.push_back(
          fmt::format("{}: the delta of a DoRA adapter has no factors to merge; use space=delta", m.info.name));
    if (m.info.blocks > 1 && !plain_sum(spec))
      reasons.push_back(fmt::format("{}: experts and groups have no common factors; use space=delta", m.info.name));
    std::set<std::int64_t> ranks;
    for (size_t i = 0; i < m.owners.size(); ++i)
      ranks.insert(pool.adapters()[static_cast<size_t>(m.owners[i])].modules()[static_cast<size_t>(m.slots[i])].rank);
    if (ranks.size() > 1 && unequal++ == 0)
      reasons.push_back(
          fmt::format("{}: merging A and B apart needs equal ranks, but {}; use space=delta, or resize first",
                      m.info.name, owners_and_ranks(pool, m)));
  }
  if (unequal > 1) reasons.push_back(fmt::format("… and {} more modules with unequal ranks", unequal - 1));
}

bool is_default_density(const MergeSpec& spec) {
  const bool own = std::any_of(spec.adapters.begin(), spec.adapters.end(),
                               [](const AdapterSpec& a) { return !a.density.rules.empty(); });
  return !own && spec.density.rules.size() == 1 && spec.density.rules[0].filter.empty() &&
         spec.density.rules[0].anchors == std::vector<double>{0.5};
}

}  // namespace

MergeSpec effective_spec(const adapter::Pool& pool, const MergeSpec& spec) {
  if (!spec.peft) return spec;
  MergeSpec out = spec;
  // PEFT gives every module the largest rank of the pool, ours keep each module's own.
  std::int64_t largest = 1;
  for (const adapter::PoolModule& m : pool.modules()) largest = std::max(largest, m.info.rank);
  for (auto& rule : out.rank.rules)
    for (RankRule& r : rule.anchors)
      if (r.kind == RankRule::Kind::kKeep) r = {RankRule::Kind::kFixed, static_cast<double>(largest)};
  if (pool.size() != 1) return out;
  out.space = Space::kDelta;
  out.sparsify = Sparsify::kNone;
  out.consensus = Consensus::kNone;
  out.combine = Combine::kSum;
  return out;
}

bool is_identity(const adapter::Pool& pool, const MergeSpec& spec, const LayerMap& layers) {
  if (pool.size() != 1 || !plain_sum(spec) || spec.space != Space::kDelta) return false;
  if (pool.adapters()[0].info().format != "peft") return false;
  const auto unchanged = [&](const ModulePosition& at) {
    const Coefficients c = coefficients_at(spec, at, {0}, 1);
    return c.shares[0].weight * c.factor == 1.0 && c.rank.kind == RankRule::Kind::kExact;
  };
  const adapter::Adapter& only = pool.adapters()[0];
  return std::all_of(only.modules().begin(), only.modules().end(),
                     [&](const auto& m) { return unchanged(layers.locate(m.name)); }) &&
         std::all_of(only.full_tensors().begin(), only.full_tensors().end(),
                     [&](const auto& t) { return unchanged(layers.locate(t.name)); }) &&
         unchanged({"", -1, 0});
}

bool carries_whole(const adapter::Pool& pool, const MergeSpec& spec) {
  return is_identity(pool, effective_spec(pool, spec), LayerMap(pool.modules()));
}

void check_options(const adapter::Pool& pool, const MergeSpec& spec) {
  if (pool.size() == 0) throw UsageError("no adapters to merge; name at least one");
  if (spec.adapters.size() > pool.size())
    throw UsageError(
        fmt::format("options for {} adapters were given, but there are {}", spec.adapters.size(), pool.size()));
  if (!spec.full_tensors.starts_with("from:")) return;
  const std::string name = spec.full_tensors.substr(5);
  std::vector<std::string> names;
  for (const adapter::Adapter& a : pool.adapters()) names.push_back(a.info().name);
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw UsageError(fmt::format("full_tensors: there is no adapter '{}'{}", name, suggestion(name, names)));
}

void check_variants(const adapter::Pool& pool, const MergeSpec& spec, const LayerMap& layers) {
  std::vector<std::string> reasons;
  refuse_adapters(pool, reasons);
  refuse_modules(pool, spec, reasons);
  if (!reasons.empty())
    throw UnsupportedError(
        fmt::format("method {} cannot compose this pool: {}", spec.method, fmt::join(reasons, "\n  ")));
  for (const adapter::PoolModule& m : pool.modules())
    coefficients_at(spec, layers.locate(m.info.name), m.owners, pool.size());
}

std::vector<std::string> idle_options(const MergeSpec& spec) {
  std::vector<std::string> out;
  const bool elects = spec.consensus != Consensus::kNone;
  if (spec.sparsify == Sparsify::kNone && !is_default_density(spec))
    out.emplace_back("density has no effect: sparsify is none");
  if (spec.sparsify != Sparsify::kRandom && !spec.rescale)
    out.emplace_back("rescale has no effect: sparsify is not random");
  if (spec.sparsify != Sparsify::kRandom && spec.seed != 0)
    out.emplace_back("seed has no effect: sparsify is not random");
  if (!elects && spec.vote == Vote::kWeighted) out.emplace_back("vote has no effect: consensus is none");
  if (spec.space != Space::kFactors && spec.factor_weights == FactorWeights::kWhole)
    out.emplace_back("factor_weights has no effect: space is not factors");
  if (spec.combine != Combine::kMean && spec.divisor == Divisor::kWeight)
    out.emplace_back("divisor has no effect: combine is not mean");
  const bool counts = spec.normalize || (spec.combine == Combine::kMean && !elects);
  if (!counts && spec.missing == Missing::kRenormalize)
    out.emplace_back("missing has no effect: nothing is divided by the number of adapters");
  return out;
}

}  // namespace weft::merge
