#pragma once

#include <cstdint>

#include "search/conversation.h"

namespace weft::search {

/// What one run of COBYLA found.
struct CobylaResult {
  Point point;
  double score = 0;
  bool ended = false;  ///< nobody was listening any more
};

/**
 * COBYLA without constraints, by the rules of PRIMA 0.7 (Zhang 2023, doi:10.5281/zenodo.8052654), which scipy 1.16 and
 * newer run. Linear approximations on a simplex, steps of at most `delta` against their gradient, `rho` as the finest
 * step so far. Returns the best point evaluated.
 */
CobylaResult cobyla(const Point& start, double first_rho, double last_rho, std::int64_t evaluations,
                    const Conversation::Evaluate& evaluate);

}  // namespace weft::search
