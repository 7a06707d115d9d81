#include "eval/metrics/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/core/value.h"

namespace weft::eval {

const std::vector<Metric>& metrics() {
  static const std::vector<Metric> all = {
      loss_metric(),    perplexity_metric(),  exact_match_metric(),       normalized_match_metric(),
      rouge_l_metric(), choice_metric(),      choice_normalized_metric(), accuracy_metric(),
      f1_metric(),      f1_weighted_metric(), f1_micro_metric()};
  return all;
}

const Metric& find_metric(std::string_view name) {
  std::vector<std::string> names;
  for (const Metric& metric : metrics()) {
    if (metric.name == name || (!name.empty() && metric.other_name == name)) return metric;
    names.emplace_back(metric.name);
  }
  throw UsageError(fmt::format("unknown metric '{}'{}", name, suggestion(name, names)));
}

std::vector<Metric> choose_metrics(const std::vector<std::string>& names, data::Kind kind) {
  std::vector<std::string> wanted = names;
  if (wanted.empty()) switch (kind) {
      case data::Kind::kText:
      case data::Kind::kCompletion: wanted = {"loss", "perplexity"}; break;
      case data::Kind::kLabel: wanted = {"accuracy", "loss"}; break;
      case data::Kind::kChoice: wanted = {"choice", "choice_normalized"}; break;
    }
  std::vector<Metric> out;
  for (const std::string& name : wanted) {
    const Metric& metric = find_metric(name);
    const std::string misfit = metric.misfit(kind);
    if (!misfit.empty())
      throw UsageError(fmt::format("metric '{}' does not fit {} examples: {}", name, data::kind_name(kind), misfit));
    if (std::any_of(out.begin(), out.end(), [&](const Metric& other) { return other.name == metric.name; }))
      throw UsageError(fmt::format("metric '{}' is given twice; give it once", metric.name));
    out.push_back(metric);
  }
  return out;
}

}  // namespace weft::eval
