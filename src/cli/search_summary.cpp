#include "cli/search_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "cli/table.h"
#include "weft/eval/metric.h"

namespace weft::cli {

namespace {

constexpr size_t kMostGroups = 6;    // columns; of more groups their mean, lowest and highest weight
constexpr size_t kMostWeights = 20;  // rows; a large pool has weights near zero behind them

/// A score as the metric's value: of metrics that are better when higher it is the negative.
std::string score_text(const std::string& metric, double score) {
  for (const eval::Metric& known : eval::metrics())
    if (known.name == metric && !known.lower_is_better) score = -score;
  return format_number(score == 0 ? 0.0 : score);  // no -0
}

std::string text_at(const Value& record, const char* key) {
  const Value* found = record.find(key);
  return found != nullptr && found->is_scalar() ? found->scalar : "";
}

/// A count, 0 where there is none that could be one.
double number_at(const Value& record, const char* key) {
  const Value* found = record.find(key);
  const double number = found != nullptr ? found->number().value_or(0) : 0;
  return number >= 0 && number < 1e15 ? number : 0;
}

/// A number of a record; null stands for one that is not finite.
double score_at(const Value& value) { return value.number().value_or(std::numeric_limits<double>::quiet_NaN()); }

/// {adapter: weight} as one row of weights. False where it is no such thing.
bool read_weights(const Value& record, std::vector<std::string>& adapters, std::vector<double>& weights) {
  if (!record.is_map()) return false;
  adapters.clear();
  for (const auto& [name, weight] : record.map) {
    if (!weight.number()) return false;
    adapters.push_back(name);
    weights.push_back(*weight.number());
  }
  return true;
}

bool read_groups(const Value& record, SearchSummary& summary) {
  const Value* weights = record.find("weights");
  if (weights == nullptr || !weights->is_map() || weights->map.empty()) return false;
  if (record.find("groups") == nullptr) {
    summary.groups = {"weight"};
    return read_weights(*weights, summary.adapters, summary.weights.emplace_back());
  }
  for (const auto& [group, own] : weights->map) {
    const std::vector<std::string> before = summary.adapters;
    summary.groups.push_back(group);
    if (!read_weights(own, summary.adapters, summary.weights.emplace_back())) return false;
    if (summary.groups.size() > 1 && summary.adapters != before) return false;
  }
  return true;
}

void print_weights(const SearchSummary& summary, std::ostream& out) {
  std::vector<double> size(summary.adapters.size(), 0.0);
  for (const auto& row : summary.weights)
    for (size_t i = 0; i < size.size(); ++i) size[i] = std::max(size[i], std::abs(row[i]));
  std::vector<size_t> order(size.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return size[a] > size[b]; });
  const bool wide = summary.groups.size() > kMostGroups;
  std::vector<std::string> titles = {"adapter"};
  for (const std::string& group : wide ? std::vector<std::string>{"mean", "lowest", "highest"} : summary.groups)
    titles.push_back(">" + group);
  Table table(titles);
  const size_t shown = std::min(kMostWeights, order.size());
  for (size_t k = 0; k < shown; ++k) {
    std::vector<double> own;
    for (const auto& weights : summary.weights) own.push_back(weights[order[k]]);
    if (wide) {
      const auto [low, high] = std::minmax_element(own.begin(), own.end());
      own = {std::accumulate(own.begin(), own.end(), 0.0) / static_cast<double>(own.size()), *low, *high};
    }
    std::vector<std::string> row = {summary.adapters[order[k]]};
    for (const double weight : own) row.push_back(fmt::format("{:.3f}", weight));
    table.add(std::move(row));
  }
  if (wide)
    out << fmt::format("  weights over {} groups of modules, from {} to {} (all in weft.json)\n", summary.groups.size(),
                       summary.groups.front(), summary.groups.back());
  out << table.text(2);
  if (shown < order.size())
    out << fmt::format("  and {} more, none above {:.3f}\n", order.size() - shown, size[order[shown]]);
}

void print_rivals(const SearchSummary& summary, std::ostream& out) {
  const bool held_out = std::any_of(summary.rivals.begin(), summary.rivals.end(),
                                    [](const flow::SearchRival& rival) { return rival.held_out.has_value(); });
  std::vector<std::string> titles = {"composition", ">" + summary.metric};
  if (held_out) titles.push_back(">held out");
  titles.push_back("");
  Table table(titles);
  for (const flow::SearchRival& rival : summary.rivals) {
    std::vector<std::string> row = {rival.name, score_text(summary.metric, rival.score)};
    if (held_out) row.push_back(rival.held_out ? score_text(summary.metric, *rival.held_out) : "-");
    row.push_back(rival.name == summary.chosen ? "written" : "");
    table.add(std::move(row));
  }
  out << table.text(2);
}

}  // namespace

SearchSummary summary_of(const flow::SearchJob& job, const flow::SearchReport& report) {
  SearchSummary out;
  out.method = job.options.method, out.metric = report.metric, out.chosen = report.chosen;
  out.rule = job.options.rule == nn::Rule::kDelta ? "delta" : "factors";
  out.examples = job.data.filename().string();
  out.budget = job.options.budget, out.spent = report.spent;
  out.adapters = report.adapters;
  out.groups = report.groups.size() == 1 ? std::vector<std::string>{"weight"} : report.groups;
  const size_t count = report.adapters.size();
  for (size_t g = 0; g < report.groups.size(); ++g) {
    const auto first = report.weights.begin() + static_cast<std::ptrdiff_t>(g * count);
    out.weights.emplace_back(first, first + static_cast<std::ptrdiff_t>(count));
  }
  out.rivals = report.rivals;
  return out;
}

std::optional<SearchSummary> summary_of(const Value& record) {
  if (!record.is_map()) return std::nullopt;
  SearchSummary out;
  out.method = text_at(record, "method"), out.rule = text_at(record, "rule"), out.metric = text_at(record, "metric");
  out.chosen = text_at(record, "chosen"), out.examples = text_at(record, "examples");
  out.budget = static_cast<std::int64_t>(number_at(record, "budget")), out.spent = number_at(record, "spent");
  if (!read_groups(record, out)) return std::nullopt;
  const Value* rivals = record.find("comparison");
  if (rivals == nullptr || !rivals->is_list()) return std::nullopt;
  for (const Value& entry : rivals->list) {
    if (!entry.is_map() || entry.find("score") == nullptr) return std::nullopt;
    flow::SearchRival rival{text_at(entry, "name"), score_at(*entry.find("score")), std::nullopt};
    if (const Value* held_out = entry.find("held_out")) rival.held_out = score_at(*held_out);
    out.rivals.push_back(std::move(rival));
  }
  return out;
}

void print_summary(const SearchSummary& summary, std::ostream& out) {
  out << fmt::format("  search by {}, {:.6g} of {} evaluations{}{}\n\n", printable(summary.method), summary.spent,
                     summary.budget, summary.examples.empty() ? "" : " on " + printable(summary.examples),
                     summary.rule == "factors" ? ", rule factors" : "");
  print_weights(summary, out);
  if (summary.rivals.empty()) return;
  out << "\n";
  print_rivals(summary, out);
}

}  // namespace weft::cli
