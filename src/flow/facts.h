#pragma once

#include "weft/core/value.h"
#include "weft/merge/merge.h"

namespace weft::flow {

/// A number for JSON, null where it is not finite.
Value finite_or_null(double number);

/// What was measured of each module: a list of {name, rank, norm, error}, for `weft.json` and for `--json`.
Value module_facts(const merge::MergeReport& report);

}  // namespace weft::flow
