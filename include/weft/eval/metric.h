#pragma once

#include <cstddef>
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
  double nll = 0.0;                  ///< negative log-likelihood of what is scored, in nats: the sum over its tokens
  std::int64_t tokens = 0;           ///< how many tokens are scored; 1 for a label
  std::string prediction = {};       ///< what the first metric that predicts takes for the answer; empty when none does
  std::optional<double> score = {};  ///< how right that metric finds it, 0 to 1; nothing when none does

  std::string answer = {};            ///< what was generated, when a metric needs that
  std::vector<double> choices = {};   ///< kChoice: log-likelihood of each, in nats, when a metric needs that
  std::int64_t label = -1;            ///< kLabel: index of the right label
  std::int64_t predicted_label = -1;  ///< kLabel: index of the most probable one
  std::string label_name = {};        ///< kLabel: its name
};

/// What an example adds to one of a metric's sums.
struct Term {
  size_t sum = 0;
  double value = 0.0;
};

/// What a metric takes for the model's answer, and how right it is, 0 to 1.
struct Verdict {
  std::string prediction;
  double score = 0.0;
};

/**
 * A number that sums up the results of many examples: a function of sums over examples, so that resamples of the
 * examples cost additions only. A metric with `judge` alone is the mean of the scores.
 */
struct Metric {
  std::string_view name;
  std::string_view doc;         ///< one line
  std::string_view other_name;  ///< what lm-evaluation-harness calls it, where it has it; may be used instead

  bool lower_is_better = false;  ///< else a higher one is

  /// What a model has to do for it.
  enum class Needs {
    kLikelihood,  ///< nothing but the negative log-likelihood of what is right
    kChoices,     ///< the log-likelihoods of all choices
    kAnswer,      ///< an answer to generate
  } needs = Needs::kLikelihood;

  /// Why this metric cannot be had of such examples, or an empty text.
  std::string (*misfit)(data::Kind kind) = nullptr;
  /// Judges one example; nullptr: this metric does not look at examples alone.
  Verdict (*judge)(const data::Example& example, const ExampleResult& result) = nullptr;
  /// How many sums, when there are so many labels; nullptr: two.
  size_t (*sums)(size_t labels) = nullptr;
  /// Appends what one example adds to the sums; nullptr: the score to the first, 1 to the second.
  void (*terms)(const ExampleResult& result, std::vector<Term>& out) = nullptr;
  /// The metric, from the sums over examples (at least one); nullptr: the first over the second.
  double (*finish)(std::span<const double> sums) = nullptr;
};

/// All metrics.
WEFT_API const std::vector<Metric>& metrics();
/// The metric called `name`, or whose other name that is. @throws UsageError with the nearest name.
WEFT_API const Metric& find_metric(std::string_view name);
/**
 * The metrics of these names; the kind's usual ones when there are none.
 * @throws UsageError on an unknown name, one given twice, and one that does not fit the examples, saying why.
 */
WEFT_API std::vector<Metric> choose_metrics(const std::vector<std::string>& names, data::Kind kind);

}  // namespace weft::eval
