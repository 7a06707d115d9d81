#pragma once

#include <vector>

#include "flow/search_setup.h"
#include "weft/core/log.h"
#include "weft/core/value.h"
#include "weft/flow/search.h"

namespace weft::flow {

/// @throws UsageError, Error: the output exists without force, is an input, or cannot be made.
void check_search_output(const SearchJob& job);

/// What `weft.json` keeps of a search, without times: method, budget, weights, comparisons, history.
Value search_record(const SearchJob& job, const SearchReport& report);

/// Writes the adapters' sum with the report's weights. Adapters whose weights are all zero are left out.
void write_search_result(const SearchJob& job, const SearchSetup& setup, SearchReport& report, Log& log);

}  // namespace weft::flow
