#include "eval/metrics/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/core/value.h"

namespace weft::eval {

const std::vector<Metric>& metrics() {
  static const std::vector<Metric> all = {loss_metric(), perplexity_metric(), accuracy_metric()};
  return all;
}

const Metric& find_metric(std::string_view name) {
  std::vector<std::string> names;
  for (const Metric& metric : metrics()) {
    if (metric.name == name) return metric;
    names.emplace_back(metric.name);
  }
  throw UsageError(fmt::format("unknown metric '{}'{}", name, suggestion(name, names)));
}

std::vector<Metric> choose_metrics(const std::vector<std::string>& names, data::Kind kind) {
  if (names.empty() && kind == data::Kind::kLabel) return {accuracy_metric(), loss_metric()};
  if (names.empty()) return {loss_metric(), perplexity_metric()};
  std::vector<Metric> out;
  for (const std::string& name : names) {
    const Metric& metric = find_metric(name);
    const std::string misfit = metric.misfit(kind);
    if (!misfit.empty())
      throw UsageError(fmt::format("metric '{}' does not fit {} examples: {}", name, data::kind_name(kind), misfit));
    if (std::any_of(out.begin(), out.end(), [&](const Metric& other) { return other.name == name; }))
      throw UsageError(fmt::format("metric '{}' is given twice; give it once", name));
    out.push_back(metric);
  }
  return out;
}

}  // namespace weft::eval
