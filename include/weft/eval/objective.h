#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "weft/core/error.h"
#include "weft/data/examples.h"
#include "weft/eval/evaluate.h"
#include "weft/model/model.h"
#include "weft/nn/experts.h"
#include "weft/text/tokenizer.h"

namespace weft::eval {

/// How the losses of examples become one number.
enum class Normalization {
  kToken,    ///< Σ nll / Σ tokens: what `loss` is everywhere else
  kExample,  ///< the mean over examples of each one's nll per token
  /// LoRAHub's own (arXiv 2307.13269, `lorahub/algorithm.py`): token means of batches of `lorahub_batch` examples (0:
  /// all in one), summed and divided by the number of examples. One batch of k makes the loss k times smaller.
  kLoraHub,
};

/// What a search minimises.
struct ObjectiveOptions {
  /// One metric of eval. Of one that is better when higher (`accuracy`, `exact_match`, …) its negative is minimised.
  std::string metric = "loss";
  Normalization normalization = Normalization::kToken;  ///< of `loss`
  std::int64_t lorahub_batch = 0;                       ///< kLoraHub: examples in a batch; 0: all
  /// How examples are scored. `metrics` and `seed` are not read; `batch_tokens` is of generated answers only.
  EvalOptions eval = {};
  /// Tokens (candidates · tokens of the examples) that run together at most; examples that are more by themselves run
  /// in several passes. Fixed chunks of candidates follow from it, so results do not depend on how many machines share
  /// the work.
  std::int64_t population_tokens = 4096;
};

/// Which weights a candidate has: [groups · adapters], group by group.
using Weights = std::vector<double>;

/// What came of one candidate.
struct Candidate {
  /// In file order; of a chosen part, those of the part in its order. A metric of generated answers has no likelihoods:
  /// `nll` and `tokens` are 0. All `nll` are NaN when an output was not finite. `prediction` and `score` are left out.
  std::vector<ExampleResult> examples;
  double score = 0.0;  ///< of all of them, lower is better; NaN when an output was not finite
};

/// A loss with its derivatives.
struct Slope {
  double score = 0.0;  ///< NaN when an output was not finite, and the gradient with it
  Weights gradient;    ///< [groups · adapters]
};

/**
 * The score of compositions of one pool on one set of examples. Adapters are stacked and examples tokenised once; whole
 * populations of candidates run in one forward pass that shares everything below the first adapted block. Thread-safe
 * for const use. Of the same build on the same machine with as many threads, results are the same bytes.
 */
class WEFT_API Objective {
 public:
  /**
   * Model, tokenizer and examples are copied. Warnings (texts that were cut, …) go to `options.eval.log`, now and never
   * later.
   * @param experts none at all: the base alone, whose candidates have no weights; see with_experts().
   * @param group_of_module by index in experts.modules(); empty: one group.
   * @throws UsageError: an unknown metric, one that does not suit the examples, no examples, options that contradict
   *         each other, groups or a rule that do not suit the experts; FormatError / InputError with `file:line` as
   *         evaluate() does.
   */
  Objective(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
            nn::Experts experts, nn::Rule rule, std::vector<std::int64_t> group_of_module,
            const ObjectiveOptions& options);
  ~Objective();
  Objective(Objective&&) noexcept;

  /// The same of other adapters for the same model, one group; examples are shared. @throws UsageError.
  Objective with_experts(nn::Experts experts, nn::Rule rule = nn::Rule::kDelta) const;

  const nn::Experts& experts() const;  ///< the adapters
  size_t examples() const;             ///< how many
  size_t adapters() const;             ///< how many
  size_t groups() const;               ///< how many
  std::int64_t tokens() const;         ///< that one candidate runs through the model
  /// Tokens that are scored, or labels: how many observations a mean loss is of.
  double observations() const;
  /// slope() can be had: the metric is `loss` or `perplexity`.
  bool differentiable() const;

  /// Candidates that run together: evaluate() cuts its list into chunks of this many from the front on.
  size_t chunk() const;
  /**
   * Scores candidates. A candidate whose outputs are not finite has a NaN for a score; its neighbours are unaffected.
   * `part`: indices of the examples to look at, ascending; empty: all.
   * @throws UsageError for weights of another size or not finite, and for a part that is not ascending or not there;
   *         whatever a forward pass throws otherwise.
   */
  std::vector<Candidate> evaluate(const std::vector<Weights>& candidates, const std::vector<size_t>& part = {}) const;
  /// The score of some examples' results (`part`: which ones they are; empty: all): what evaluate() puts into
  /// Candidate::score. @throws UsageError for another number of results.
  double score(const std::vector<ExampleResult>& results, const std::vector<size_t>& part = {}) const;
  /// Score and gradient at one candidate. @throws UsageError unless differentiable(), and as evaluate() does.
  Slope slope(const Weights& candidate, const std::vector<size_t>& part = {}) const;
  /// Turns a score back into the metric's value: the negative of a negative.
  double metric_value(double score) const;

  struct Data;

 private:
  explicit Objective(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

}  // namespace weft::eval
