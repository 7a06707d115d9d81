#include <cmath>

#include "eval/metrics/table.h"

namespace weft::eval {

/// The exponential of the loss.
Metric perplexity_metric() {
  Metric out = loss_metric();
  out.name = "perplexity";
  out.doc = "exp(loss): among how many tokens the model seems to choose";
  out.misfit = [](data::Kind kind) -> std::string {
    return kind == data::Kind::kLabel ? "it is of predicted tokens, and labelled examples predict none" : "";
  };
  out.finish = [](std::span<const double> sums) { return std::exp(sums[0] / sums[1]); };
  return out;
}

}  // namespace weft::eval
