#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "weft/eval/metric.h"
#include "weft/eval/objective.h"

namespace weft::eval {

/// How results of examples become the number that is minimised.
struct ScoreRule {
  Metric metric;
  Normalization normalization = Normalization::kToken;
  std::int64_t lorahub_batch = 0;
  size_t labels = 0;  ///< how many there are to choose from
};

/// @throws UsageError: options that contradict each other.
void check_normalization(const Metric& metric, const ObjectiveOptions& options);

/// The factor of each example's negative log-likelihood in the loss, given how many tokens of each are scored.
std::vector<double> loss_factors(const ScoreRule& rule, const std::vector<std::int64_t>& tokens);

/// The score of the examples `part`, lower is better; NaN when something is not finite.
double score_of(const ScoreRule& rule, const std::vector<data::Example>& examples,
                const std::vector<ExampleResult>& results, const std::vector<size_t>& part);

}  // namespace weft::eval
