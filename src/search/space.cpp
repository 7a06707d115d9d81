#include "weft/search/space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "layers.h"
#include "weft/core/value.h"

namespace weft::search {

namespace {

void check_bounds(const SpaceOptions& options) {
  if (!std::isfinite(options.lower) || !std::isfinite(options.upper) || !std::isfinite(options.upper - options.lower)) {
    throw UsageError(
        fmt::format("the bounds of the weights are {} and {}, expected finite numbers", options.lower, options.upper));
  }
  if (options.lower > options.upper) {
    throw UsageError(fmt::format("the bounds of the weights are crossed: {} > {}", options.lower, options.upper));
  }
}

void check_start(double start, const std::string& name, const SpaceOptions& options) {
  if (start >= options.lower && start <= options.upper) return;
  throw UsageError(fmt::format("the first weight of {} is {}, outside of the bounds {} and {}; give a start inside",
                               name, start, options.lower, options.upper));
}

std::string block_and_kind(std::int64_t block, const std::string& kind) { return fmt::format("{} {}", block, kind); }

}  // namespace

Space::Space(std::vector<std::string> adapters, const std::vector<std::string>& modules, const SpaceOptions& options)
    : adapters_(std::move(adapters)), granularity_(options.granularity) {
  if (adapters_.empty()) throw UsageError("there is nothing to search: no adapters");
  for (size_t i = 0; i < adapters_.size(); ++i) {
    if (std::find(adapters_.begin(), adapters_.begin() + static_cast<std::ptrdiff_t>(i), adapters_[i]) !=
        adapters_.begin() + static_cast<std::ptrdiff_t>(i)) {
      throw UsageError(fmt::format("two adapters are called '{}'", adapters_[i]));
    }
  }
  check_bounds(options);
  const Ingredients shared = ingredients(options);
  if (shared.names.empty()) throw UsageError("there is nothing to search: the weights of all adapters are fixed");
  group_modules(modules, options);
  members_.resize(shared.names.size());
  for (size_t group = 0; group < groups_.size(); ++group) {
    const size_t first = lower_.size();
    for (size_t k = 0; k < shared.names.size(); ++k) {
      members_[k].push_back(first + k);
      lower_.push_back(options.lower);
      upper_.push_back(options.upper);
      start_.push_back(shared.starts[k]);
      names_.push_back(groups_.size() == 1 ? shared.names[k] : shared.names[k] + ", " + groups_[group]);
    }
    for (size_t a = 0; a < adapters_.size(); ++a) {
      const std::int64_t k = shared.of_adapter[a];
      coordinate_.push_back(k < 0 ? -1 : static_cast<std::int64_t>(first) + k);
      fixed_.push_back(shared.fixed[a]);
    }
  }
}

size_t Space::adapter_index(const std::string& name, const char* option) const {
  const auto found = std::find(adapters_.begin(), adapters_.end(), name);
  if (found != adapters_.end()) return static_cast<size_t>(found - adapters_.begin());
  throw UsageError(fmt::format("unknown adapter '{}' among the {}{}", name, option, suggestion(name, adapters_)));
}

Space::Claims Space::claims(const SpaceOptions& options) const {
  Claims out;
  out.fixed.resize(adapters_.size());
  out.start.resize(adapters_.size());
  out.tied.assign(adapters_.size(), -1);
  for (const auto& [name, value] : options.fixed) {
    const size_t a = adapter_index(name, "fixed weights");
    if (!std::isfinite(value)) throw UsageError(fmt::format("the fixed weight of '{}' is {}", name, value));
    if (out.fixed[a]) throw UsageError(fmt::format("the weight of '{}' is fixed twice", name));
    out.fixed[a] = value;
  }
  for (const auto& [name, value] : options.starts) {
    const size_t a = adapter_index(name, "first weights");
    if (out.fixed[a]) throw UsageError(fmt::format("'{}' has both a first and a fixed weight", name));
    if (out.start[a]) throw UsageError(fmt::format("'{}' has two first weights", name));
    out.start[a] = value;
  }
  for (size_t g = 0; g < options.tied.size(); ++g) {
    for (const std::string& name : options.tied[g]) {
      const size_t a = adapter_index(name, "tied weights");
      if (out.fixed[a]) throw UsageError(fmt::format("the weight of '{}' is both fixed and tied", name));
      if (out.tied[a] >= 0) throw UsageError(fmt::format("the weight of '{}' is tied twice", name));
      out.tied[a] = static_cast<std::int64_t>(g);
    }
  }
  return out;
}

Space::Ingredients Space::ingredients(const SpaceOptions& options) const {
  const Claims claimed = claims(options);
  Ingredients out;
  out.of_adapter.assign(adapters_.size(), -1);
  for (const std::optional<double>& fixed : claimed.fixed) out.fixed.push_back(fixed.value_or(0.0));
  for (size_t a = 0; a < adapters_.size(); ++a) {
    if (claimed.fixed[a] || out.of_adapter[a] >= 0) continue;
    std::vector<std::string> names = {adapters_[a]};
    if (claimed.tied[a] >= 0) names = options.tied[static_cast<size_t>(claimed.tied[a])];
    std::optional<size_t> leader;  // the first of them that has a start of its own
    for (const std::string& name : names) {
      const size_t member = adapter_index(name, "tied weights");
      out.of_adapter[member] = static_cast<std::int64_t>(out.names.size());
      if (!claimed.start[member]) continue;
      if (!leader) leader = member;
      if (claimed.start[member] != claimed.start[*leader]) {
        throw UsageError(fmt::format("'{}' and '{}' share one weight but begin with {} and {}", adapters_[*leader],
                                     name, *claimed.start[*leader], *claimed.start[member]));
      }
    }
    out.starts.push_back(leader ? *claimed.start[*leader] : options.start);
    check_start(out.starts.back(), "'" + names.front() + "'", options);
    out.names.push_back(fmt::format("{}", fmt::join(names, " + ")));
  }
  return out;
}

void Space::group_modules(const std::vector<std::string>& modules, const SpaceOptions& options) {
  if (granularity_ == Granularity::kAdapter) {
    groups_ = {"all"};
    group_of_module_.assign(modules.size(), 0);
    return;
  }
  if (modules.empty())
    throw UsageError("weights by layer or kind need to know what modules there are, and there are none");
  if (granularity_ == Granularity::kLayerBlock) {
    group_by_layer(modules, options.layer_blocks);
  } else if (granularity_ == Granularity::kKind) {
    group_by_kind(modules);
  } else {
    group_by_both(modules, options.layer_blocks);
  }
}

void Space::group_by_layer(const std::vector<std::string>& modules, std::int64_t blocks) {
  if (blocks < 1) throw UsageError(fmt::format("{} blocks of layers were asked for, expected at least 1", blocks));
  const LayerBlocks layers(modules, blocks);
  if (layers.count() == 0) {
    throw UsageError(fmt::format("weights by layer: no module has a layer's number in its name (the first is '{}')",
                                 modules.front()));
  }
  groups_ = layers.names();
  bool before = true;
  for (const std::string& module : modules) {
    std::int64_t block = layers.of(module);
    before = before && block < 0;
    if (block < 0) block = before ? 0 : layers.count() - 1;
    group_of_module_.push_back(block);
    group_of_name_.try_emplace(module, block);
  }
  blocks_ = std::make_shared<LayerBlocks>(layers);
}

void Space::group_by_kind(const std::vector<std::string>& modules) {
  for (const std::string& module : modules) {
    const std::string kind = module_kind(module);
    const auto [it, fresh] = group_of_name_.try_emplace(kind, static_cast<std::int64_t>(groups_.size()));
    if (fresh) groups_.push_back(kind);
    group_of_module_.push_back(it->second);
  }
}

void Space::group_by_both(const std::vector<std::string>& modules, std::int64_t blocks) {
  group_by_layer(modules, blocks);
  const std::vector<std::string> names = std::exchange(groups_, {});
  const std::vector<std::int64_t> block_of_module = std::exchange(group_of_module_, {});
  group_of_name_.clear();
  for (size_t m = 0; m < modules.size(); ++m) {
    const std::int64_t block = block_of_module[m];
    const std::string kind = module_kind(modules[m]);
    const auto next = static_cast<std::int64_t>(groups_.size());
    const auto [it, fresh] = group_of_name_.try_emplace(block_and_kind(block, kind), next);
    if (fresh) groups_.push_back(names[static_cast<size_t>(block)] + " " + kind);
    group_of_module_.push_back(it->second);
  }
}

std::int64_t Space::group_of(const std::string& module) const {
  if (granularity_ == Granularity::kAdapter) return 0;
  if (granularity_ == Granularity::kBlockKind) {
    const std::int64_t block = blocks_->of(module);
    const auto known =
        group_of_name_.find(block_and_kind(block < 0 ? blocks_->count() - 1 : block, module_kind(module)));
    if (known != group_of_name_.end()) return known->second;
    throw UsageError(fmt::format("module '{}' is of a kind that no searched module of its layers is of; known are {}",
                                 module, fmt::join(groups_, ", ")));
  }
  const bool by_kind = granularity_ == Granularity::kKind;
  const auto found = group_of_name_.find(by_kind ? module_kind(module) : module);
  if (found != group_of_name_.end()) return found->second;
  if (by_kind) {
    throw UsageError(fmt::format("module '{}' is of a kind that no searched module is of; known are {}", module,
                                 fmt::join(groups_, ", ")));
  }
  const std::int64_t block = blocks_->of(module);
  return block < 0 ? blocks_->count() - 1 : block;
}

std::vector<double> Space::weights(const Point& point) const {
  if (point.size() != size()) {
    throw UsageError(fmt::format("a point of {} coordinates was given, the search has {}", point.size(), size()));
  }
  std::vector<double> weights(coordinate_.size());
  for (size_t w = 0; w < weights.size(); ++w) {
    weights[w] = coordinate_[w] < 0 ? fixed_[w] : point[static_cast<size_t>(coordinate_[w])];
  }
  return weights;
}

Point Space::pull_back(const std::vector<double>& by_weight) const {
  if (by_weight.size() != coordinate_.size()) {
    throw UsageError(
        fmt::format("a gradient of {} weights was given, there are {}", by_weight.size(), coordinate_.size()));
  }
  Point gradient(size(), 0.0);
  for (size_t w = 0; w < by_weight.size(); ++w) {
    if (coordinate_[w] >= 0) gradient[static_cast<size_t>(coordinate_[w])] += by_weight[w];
  }
  return gradient;
}

Problem Space::problem() const {
  Problem problem;
  problem.lower = lower_;
  problem.upper = upper_;
  problem.start = start_;
  for (size_t i = 0; i < size(); ++i) problem.origin.push_back(std::clamp(0.0, lower_[i], upper_[i]));
  for (const std::vector<size_t>& members : members_) {
    Point single = problem.origin;
    for (const size_t i : members) single[i] = std::clamp(1.0, lower_[i], upper_[i]);
    problem.singles.push_back(std::move(single));
  }
  return problem;
}

const std::string& Space::name(size_t coordinate) const {
  if (coordinate < names_.size()) return names_[coordinate];
  throw UsageError(fmt::format("there is no coordinate {}: the search has {}", coordinate, names_.size()));
}

}  // namespace weft::search
