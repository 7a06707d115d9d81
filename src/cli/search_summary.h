#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "weft/core/value.h"
#include "weft/flow/search.h"

namespace weft::cli {

/// What a search found, as people are shown it: after a search, and of an adapter that came of one.
struct SearchSummary {
  std::string method, rule, metric, chosen, examples;
  std::int64_t budget = 0;
  double spent = 0;
  std::vector<std::string> adapters, groups;
  std::vector<std::vector<double>> weights;  ///< [groups][adapters]
  std::vector<flow::SearchRival> rivals;
};

SearchSummary summary_of(const flow::SearchJob& job, const flow::SearchReport& report);
/// The `search` part of a `weft.json`; nothing where there is none or it is not of the shape that Weft writes.
std::optional<SearchSummary> summary_of(const Value& record);

/// Weights, largest first, and comparisons.
void print_summary(const SearchSummary& summary, std::ostream& out);

}  // namespace weft::cli
