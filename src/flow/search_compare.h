#pragma once

#include "flow/search_evaluator.h"
#include "flow/search_setup.h"
#include "weft/flow/search.h"

namespace weft::flow {

/// Scores the base, the best single adapter and the uniform merge beside what was found, warns when one of them is
/// better, and with `fallback` puts it in its place. Every rank does the same.
void compare_rivals(const SearchJob& job, const SearchSetup& setup, Evaluator& evaluator, SearchReport& report);

}  // namespace weft::flow
