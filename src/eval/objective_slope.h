#pragma once

#include <vector>

#include "eval/objective_data.h"

namespace weft::eval {

/// Score and gradient of a loss at one candidate, both checked. Gradients are gathered batch by batch.
Slope slope_of(const Objective::Data& data, const Weights& candidate, const std::vector<size_t>& part);

}  // namespace weft::eval
