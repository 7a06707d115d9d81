#include <cmath>

#include "eval/metrics/table.h"

namespace weft::eval {

/// The exponential of the loss.
Metric perplexity_metric() {
  return {"perplexity", "exp(loss): among how many tokens the model seems to choose",
          [](data::Kind kind) -> std::string {
            return kind == data::Kind::kLabel ? "it is of predicted tokens, and labelled examples predict none" : "";
          },
          [](const ExampleResult& result) -> std::vector<double> {
            return {result.nll, static_cast<double>(result.tokens)};
          },
          [](std::span<const double> sums) { return std::exp(sums[0] / sums[1]); }};
}

}  // namespace weft::eval
