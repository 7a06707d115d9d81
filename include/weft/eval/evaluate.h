#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/core/error.h"
#include "weft/core/log.h"
#include "weft/data/examples.h"
#include "weft/eval/metric.h"
#include "weft/model/model.h"
#include "weft/text/tokenizer.h"

namespace weft::eval {

/// How an evaluation runs. Nothing here but `metrics` and `seed` changes what it finds, rounding apart.
struct EvalOptions {
  std::vector<std::string> metrics = {};  ///< names; empty: loss and perplexity of tokens, accuracy and loss of labels
  std::int64_t batch_tokens = 2048;       ///< tokens that run together at most; a longer example runs alone
  int threads = 0;                        ///< for tokenising and resampling; 0: all. Forward passes use libtorch's own
  std::uint64_t seed = 0;                 ///< of the resamples
  Log* log = nullptr;                     ///< nullptr: silent
};

/// A metric with the interval that 95 % of bootstrap resamples of the examples fall in.
struct MetricValue {
  std::string name;
  double value = 0.0, low = 0.0, high = 0.0;
};

/// What an evaluation found.
struct Report {
  std::vector<MetricValue> metrics;     ///< in the order asked for
  std::vector<ExampleResult> examples;  ///< in file order
};

/**
 * Scores examples with a model. `text`: the ids as the tokenizer gives them, every id but the first. `prompt` and
 * `completion`: the prompt with special tokens, the completion without, tokenised apart and joined; the completion is
 * scored. On a seq2seq model both have their special tokens, the prompt is encoded and the completion decoded. Labels:
 * cross entropy and the most probable label. All examples are tokenised and checked before the first forward pass.
 * `composition.mix` has one row.
 * @throws UsageError: wrong metrics, options, or a mix with several rows; FormatError with `file:line`: nothing to
 *         score, unknown labels; InputError: examples and model do not fit together, examples longer than learned
 *         positions, outputs that are not finite. Longer than other positions: a warning.
 */
WEFT_API Report evaluate(const model::BaseModel& model, const text::Tokenizer& tokenizer,
                         const data::Examples& examples, const model::Composition& composition = {},
                         const EvalOptions& options = {});

}  // namespace weft::eval
