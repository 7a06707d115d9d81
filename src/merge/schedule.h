#pragma once

#include "weft/core/fields.h"
#include "weft/merge/spec.h"

namespace weft::merge {

/// Reads a number, a gradient (list of numbers) or a list of {filter, value}; RecipeError at the place of what is
/// wrong.
Schedule<double> number_schedule(const Field& field, const Value& value);
/// The same for ranks: `exact`, `keep`, N, `energy:x`, `{energy: x}`.
Schedule<RankRule> rank_schedule(const Field& field, const Value& value);
/// Writes a schedule so that the readers above give it back.
Value schedule_value(const Schedule<double>& schedule);
Value schedule_value(const Schedule<RankRule>& schedule);

}  // namespace weft::merge
