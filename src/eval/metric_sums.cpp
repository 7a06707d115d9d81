#include "eval/metric_sums.h"

namespace weft::eval {

size_t sums_of(const Metric& metric, size_t labels) { return metric.sums != nullptr ? metric.sums(labels) : 2; }

void append_terms(const Metric& metric, const data::Example& example, const ExampleResult& result,
                  std::vector<Term>& out) {
  if (metric.terms != nullptr) return metric.terms(result, out);
  out.push_back({0, metric.judge(example, result).score});
  out.push_back({1, 1.0});
}

double finish_metric(const Metric& metric, std::span<const double> sums) {
  return metric.finish != nullptr ? metric.finish(sums) : sums[0] / sums[1];
}

}  // namespace weft::eval
