#include "eval/metrics/table.h"

namespace weft::eval {

/// The part of the examples whose label is the most probable one.
Metric accuracy_metric() {
  return {"accuracy", "part of the examples whose label is predicted, 0 to 1",
          [](data::Kind kind) -> std::string {
            return kind == data::Kind::kLabel ? "" : "it needs examples with 'text' and 'label'";
          },
          [](const ExampleResult& result) -> std::vector<double> {
            return {result.score.value_or(0.0), 1.0};
          },
          [](std::span<const double> sums) { return sums[0] / sums[1]; }};
}

}  // namespace weft::eval
