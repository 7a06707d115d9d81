#include "eval/metrics/table.h"

namespace weft::eval {

/// Mean negative log-likelihood of a token over the whole file, not the mean of the examples' means.
Metric loss_metric() {
  return {"loss", "mean negative log-likelihood of a scored token (of a label: its cross entropy), in nats",
          [](data::Kind) { return std::string(); },
          [](const ExampleResult& result) -> std::vector<double> {
            return {result.nll, static_cast<double>(result.tokens)};
          },
          [](std::span<const double> sums) { return sums[0] / sums[1]; }};
}

}  // namespace weft::eval
