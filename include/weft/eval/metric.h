#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/core/error.h"
#include "weft/data/examples.h"

namespace weft::eval {

/// What a model made of one example.
struct ExampleResult {
  double nll = 0.0;             ///< negative log-likelihood of what is scored, in nats: the sum over its tokens
  std::int64_t tokens = 0;      ///< how many tokens are scored; 1 for a label
  std::string prediction;       ///< the name of the predicted label; empty when nothing is predicted
  std::optional<double> score;  ///< 1 when the prediction is right, else 0; nothing when nothing is predicted
};

/**
 * A number that sums up the results of many examples: a function of sums over examples, so that resamples of the
 * examples cost additions only.
 */
struct Metric {
  std::string_view name;
  std::string_view doc;  ///< one line
  /// Why this metric cannot be had of such examples, or an empty text.
  std::string (*misfit)(data::Kind kind) = nullptr;
  /// What one example adds to each sum.
  std::vector<double> (*terms)(const ExampleResult& result) = nullptr;
  /// The metric, from the sums over examples (at least one).
  double (*finish)(std::span<const double> sums) = nullptr;
};

/// All metrics.
WEFT_API const std::vector<Metric>& metrics();
/// The metric called `name`. @throws UsageError with the nearest name.
WEFT_API const Metric& find_metric(std::string_view name);
/**
 * The metrics of these names; the kind's usual ones when there are none.
 * @throws UsageError on an unknown name, one given twice, and one that does not fit the examples, saying why.
 */
WEFT_API std::vector<Metric> choose_metrics(const std::vector<std::string>& names, data::Kind kind);

}  // namespace weft::eval
