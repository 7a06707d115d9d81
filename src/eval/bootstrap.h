#pragma once

#include <vector>

#include "weft/data/examples.h"
#include "weft/eval/evaluate.h"

namespace weft::eval {

/**
 * The metrics of these results (at least one, of these examples) with their intervals, when there are `labels` labels.
 * Depends on the seed, never on the threads.
 */
std::vector<MetricValue> measure(const std::vector<Metric>& metrics, const std::vector<data::Example>& examples,
                                 const std::vector<ExampleResult>& results, size_t labels, std::uint64_t seed,
                                 int threads);

}  // namespace weft::eval
