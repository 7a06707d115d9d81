#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "weft/eval/metric.h"

namespace weft::eval {

/// How many sums over examples a metric is a function of, when there are so many labels.
size_t sums_of(const Metric& metric, size_t labels);
/// Appends what an example adds to them.
void append_terms(const Metric& metric, const data::Example& example, const ExampleResult& result,
                  std::vector<Term>& out);
/// The metric of its sums.
double finish_metric(const Metric& metric, std::span<const double> sums);

}  // namespace weft::eval
