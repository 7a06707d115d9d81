#include "adapter/pool_remarks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace weft::adapter {
namespace {

constexpr size_t kNamesShown = 4;  // a remark is one line

/// `a`, or `a, b and 7 more`.
std::string some_names(const std::vector<std::string>& names) {
  if (names.size() <= kNamesShown) return fmt::format("{}", fmt::join(names, ", "));
  const std::vector<std::string> head(names.begin(), names.begin() + kNamesShown);
  return fmt::format("{} and {} more", fmt::join(head, ", "), names.size() - kNamesShown);
}

/// Members sorted into groups by a label, in the order the labels appear.
class Grouping {
 public:
  void put(const std::string& label, const std::string& member) {
    const auto [at, fresh] = index_.emplace(label, groups_.size());
    if (fresh) groups_.emplace_back(label, std::vector<std::string>{});
    groups_[at->second].second.push_back(member);
  }
  size_t size() const { return groups_.size(); }
  /// `x (a, b), y (c)`.
  std::string text() const {
    std::vector<std::string> parts;
    for (const auto& [label, members] : groups_) parts.push_back(fmt::format("{} ({})", label, some_names(members)));
    const size_t shown = std::min(parts.size(), kNamesShown);
    std::string out = fmt::format("{}", fmt::join(parts.begin(), parts.begin() + static_cast<long>(shown), ", "));
    if (parts.size() > shown) out += fmt::format(" and {} more", parts.size() - shown);
    return out;
  }

 private:
  std::unordered_map<std::string, size_t> index_;
  std::vector<std::pair<std::string, std::vector<std::string>>> groups_;
};

/// The variants that change what the factors mean; rsLoRA and the like only change a scale that is already resolved.
std::string meaning_of(const AdapterInfo& info) {
  static constexpr std::string_view kHarmless[] = {"rslora", "velora", "experts", "grouped_conv", "mica"};
  if (!info.type.empty() && info.type != "lora") return info.type;
  std::vector<std::string> telling;
  for (const std::string& variant : info.variants)
    if (std::find(std::begin(kHarmless), std::end(kHarmless), variant) == std::end(kHarmless))
      telling.push_back(variant);
  std::sort(telling.begin(), telling.end());
  return telling.empty() ? "plain" : fmt::format("{}", fmt::join(telling, "+"));
}

void remark_lonely(const Pool& pool, std::vector<std::string>& out) {
  std::vector<bool> shares(pool.size(), false);
  for (const PoolModule& module : pool.modules())
    if (module.owners.size() > 1)
      for (const int owner : module.owners) shares[static_cast<size_t>(owner)] = true;
  std::vector<std::string> lonely;
  for (size_t i = 0; i < pool.size(); ++i)
    if (!shares[i] && !pool.adapters()[i].modules().empty()) lonely.push_back(pool.adapters()[i].info().name);
  if (!lonely.empty())
    out.push_back(fmt::format("no module in common with any other adapter: {}; is it of the same base model?",
                              some_names(lonely)));
}

void remark_full_tensors(const Pool& pool, std::vector<std::string>& out) {
  std::vector<std::string> differing;
  for (const PoolTensor& tensor : pool.full_tensors()) {
    if (tensor.owners.size() < 2) continue;
    for (const int owner : tensor.owners) {
      const auto& own = pool.adapters()[static_cast<size_t>(owner)].full_tensors();
      const auto at =
          std::find_if(own.begin(), own.end(), [&](const FullTensor& t) { return t.key == tensor.info.key; });
      if (at == own.end() || at->shape == tensor.info.shape) continue;
      differing.push_back(tensor.info.name);
      break;
    }
  }
  if (!differing.empty())
    out.push_back(fmt::format("full tensors of different shapes, which cannot be averaged: {}", some_names(differing)));
}

}  // namespace

std::vector<std::string> pool_remarks(const Pool& pool) {
  std::vector<std::string> out;
  if (pool.size() < 2) return out;
  remark_lonely(pool, out);
  Grouping orientation, variants, bases;
  for (const Adapter& adapter : pool.adapters()) {
    const AdapterInfo& info = adapter.info();
    if (!info.config.is_null()) orientation.put(info.fan_in_fan_out ? "true" : "false", info.name);
    variants.put(meaning_of(info), info.name);
    if (!info.base_model.empty()) bases.put(info.base_model, info.name);
  }
  if (orientation.size() > 1)
    out.push_back("fan_in_fan_out differs: " + orientation.text() +
                  "; it never changes a delta, the base layer decides on loading");
  if (variants.size() > 1) out.push_back("mixed variants: " + variants.text());
  if (bases.size() > 1)
    out.push_back("base model names differ: " + bases.text() + "; modules and shapes decide, not the name");
  remark_full_tensors(pool, out);
  return out;
}

}  // namespace weft::adapter
