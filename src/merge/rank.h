#pragma once

#include <cstdint>

#include "linalg/lowrank.h"
#include "weft/merge/spec.h"

namespace weft::merge {

/// The rank that a rule asks for, given the largest input rank and the shape; 0 for `exact`, -1 for `energy`.
std::int64_t wanted_rank(const RankRule& rule, std::int64_t largest_input, std::int64_t out, std::int64_t in);

/// The rule as a choice among singular values, `wanted` as wanted_rank() gives it.
linalg::RankChoice rank_choice(const RankRule& rule, std::int64_t wanted);

}  // namespace weft::merge
