#pragma once

#include <vector>

#include "weft/eval/evaluate.h"

namespace weft::eval {

/// The metrics of these results (at least one) with their intervals. Depends on the seed, never on the threads.
std::vector<MetricValue> measure(const std::vector<Metric>& metrics, const std::vector<ExampleResult>& results,
                                 std::uint64_t seed, int threads);

}  // namespace weft::eval
