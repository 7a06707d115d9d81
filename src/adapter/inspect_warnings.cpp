#include "adapter/inspect_warnings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace weft::adapter {
namespace {

constexpr double kLargestScale = 64.0;  // alpha / r of real adapters lies between 0.1 and 32
constexpr double kSmallestScale = 1e-3;
constexpr double kOutOfProportion = 100.0;  // times the median norm

/// `3 of 24 modules (a, b, c)`, at most three named.
std::string counted(const std::vector<std::string>& names, size_t all) {
  const size_t shown = std::min<size_t>(names.size(), 3);
  return fmt::format("{} of {} modules ({}{})", names.size(), all,
                     fmt::join(names.begin(), names.begin() + static_cast<long>(shown), ", "),
                     names.size() > shown ? ", …" : "");
}

void warn_zero(const AdapterReport& report, std::vector<std::string>& out) {
  std::vector<std::string> zero;
  for (const ModuleReport& module : report.modules)
    if (module.norm == 0.0) zero.push_back(module.name);
  if (zero.empty()) return;
  out.push_back(zero.size() == report.modules.size() ? fmt::format("every update is zero: nothing was trained")
                                                     : fmt::format("{} have a zero update: nothing was trained there",
                                                                   counted(zero, report.modules.size())));
}

void warn_scales(const Adapter& adapter, std::vector<std::string>& out) {
  std::vector<std::string> odd;
  double low = 0.0, high = 0.0;
  for (const ModuleInfo& module : adapter.modules()) {
    if (module.scale > kLargestScale || module.scale < kSmallestScale) odd.push_back(module.name);
    low = &module == &adapter.modules().front() ? module.scale : std::min(low, module.scale);
    high = &module == &adapter.modules().front() ? module.scale : std::max(high, module.scale);
  }
  if (!odd.empty())
    out.push_back(fmt::format("unusual scale in {}: {:.4g} to {:.4g}, usual is 0.1 to 32",
                              counted(odd, adapter.modules().size()), low, high));
  const Value& config = adapter.info().config;
  const Value* ranks = config.is_map() ? config.find("rank_pattern") : nullptr;
  const Value* alphas = config.is_map() ? config.find("alpha_pattern") : nullptr;
  const bool alone = ranks != nullptr && !ranks->map.empty() && (alphas == nullptr || alphas->map.empty());
  if (alone && low != high)
    out.push_back(fmt::format("rank_pattern without alpha_pattern: scales run from {:.4g} to {:.4g}", low, high));
}

void warn_proportion(const AdapterReport& report, std::vector<std::string>& out) {
  std::vector<double> norms;
  for (const ModuleReport& module : report.modules)
    if (module.norm > 0.0) norms.push_back(module.norm);
  if (norms.size() < 3) return;
  std::nth_element(norms.begin(), norms.begin() + static_cast<long>(norms.size() / 2), norms.end());
  const double median = norms[norms.size() / 2];
  for (const ModuleReport& module : report.modules)
    if (module.norm > kOutOfProportion * median)
      out.push_back(fmt::format("module {}: norm {:.4g} is {:.0f} times the median", module.name, module.norm,
                                module.norm / median));
}

}  // namespace

void add_adapter_warnings(const Adapter& adapter, AdapterReport& report) {
  const AdapterInfo& info = adapter.info();
  std::vector<std::string>& out = report.warnings;
  out.insert(out.end(), info.warnings.begin(), info.warnings.end());
  if (!info.refusal.empty()) out.push_back(info.refusal);
  if (!info.needs_base.empty()) out.push_back(info.needs_base + "; norms are of the low-rank part only");
  warn_zero(report, out);
  if (!adapter.modules().empty()) warn_scales(adapter, out);
  warn_proportion(report, out);
}

}  // namespace weft::adapter
