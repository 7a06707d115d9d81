#pragma once

#include <cstdint>
#include <vector>

#include "nn/expert_data.h"
#include "nn/gate.h"
#include "nn/site_weights.h"

namespace weft::nn {

/// The experts of a group of linears in one pass.
struct Mixing {
  const GroupExperts* experts = nullptr;
  std::vector<SiteWeights> weights;  ///< per part; not present where no expert acts
  Rule rule = Rule::kDelta;
  int threads = 0;

  /// Weights or factors need gradients.
  bool records() const;
};

/// Experts [first, last) of a part: rows [row, row + count) of its factors, `count` columns of z from `column` on.
struct MixSegment {
  size_t part = 0;
  size_t nth = 0;  ///< of the part's segments
  std::int64_t first = 0, last = 0, row = 0, count = 0, column = 0;
  std::int64_t group_row = 0;  ///< `row` in the A of the group
};

/// Rows [row, row + count) of the group's A, whose products are the columns of z from `column` on.
struct MixStretch {
  std::int64_t row = 0, count = 0, column = 0;
};

/// Which experts act on the tokens [begin, end).
struct MixPlan {
  std::int64_t begin = 0, end = 0;
  std::vector<MixSegment> segments;   ///< by part
  std::vector<MixStretch> stretches;  ///< the segments that are neighbours in A, joined
  std::int64_t columns = 0;           ///< of z

  /// Columns and stretches of the segments as they are now.
  void arrange();
};

/**
 * Leaves out the experts whose weights are zero for all tokens. Where tokens differ and few experts act on each, there
 * is a plan for each stretch of neighbouring tokens with the same weights, else one plan for all. Nothing acts: empty.
 * `few`: the products are our own, bound by reading the factors.
 */
std::vector<MixPlan> plan_mixing(const Mixing& mixing, std::int64_t tokens, std::int64_t in, bool few);

}  // namespace weft::nn
