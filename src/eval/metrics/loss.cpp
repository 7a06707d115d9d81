#include "eval/metrics/table.h"

namespace weft::eval {

/// Mean negative log-likelihood of a token over the whole file, not the mean of the examples' means.
Metric loss_metric() {
  Metric out;
  out.name = "loss";
  out.doc = "mean negative log-likelihood of a scored token or label, in nats";
  out.lower_is_better = true;
  out.misfit = [](data::Kind) { return std::string(); };
  out.terms = [](const ExampleResult& result, std::vector<Term>& terms) {
    terms.push_back({0, result.nll});
    terms.push_back({1, static_cast<double>(result.tokens)});
  };
  return out;
}

}  // namespace weft::eval
