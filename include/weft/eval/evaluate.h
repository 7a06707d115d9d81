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

/// How an evaluation runs. `batch_tokens` and `threads` change nothing that it finds, rounding apart.
struct EvalOptions {
  /// Names; empty: loss and perplexity of texts and completions, choice and choice_normalized of choices, accuracy and
  /// loss of labels.
  std::vector<std::string> metrics = {};
  std::int64_t batch_tokens = 2048;        ///< tokens that run together at most; a longer example runs alone
  int threads = 0;                         ///< for tokenising and resampling; 0: all. Forward passes use libtorch's own
  std::uint64_t seed = 0;                  ///< of the resamples
  double temperature = 0.05;               ///< label similarity: divides the cosine; above 0
  std::string label_template = "{label}";  ///< label similarity: what is embedded for a label, `_` read as a space
  /// Label similarity: the names to choose from, in the order of indices; empty: the examples' own. Refused elsewhere.
  std::vector<std::string> labels = {};
  /// Label similarity: longer texts are cut, special tokens kept. 0: at `max_seq_length` of the model folder's
  /// `sentence_bert_config.json`, else at learned positions. Never beyond learned positions.
  std::int64_t max_tokens = 0;
  /// Of a generated answer. 0: eight more than the longest right answer of the file has, or what learned positions
  /// leave room for.
  std::int64_t max_new_tokens = 0;
  /// Completions and choices of causal models: the end token that follows an answer is scored too, as it is learned in
  /// training. Refused elsewhere.
  bool append_end = false;
  std::vector<std::string> stop = {"\n"};  ///< a generated answer ends before one of these; not counted as part of it
  Log* log = nullptr;                      ///< nullptr: silent
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
 * scored, the first one when several answers are right. On a seq2seq model both have their special tokens, the prompt
 * is encoded and the completion decoded. Choices are scored as completions are.
 *
 * Labels: a classification head gives the logits. An encoder without one tells labels apart by similarity: the logit of
 * a label is the cosine of the text's embedding with that of the label's description (label_template), both through the
 * composition, over the temperature.
 *
 * Metrics that compare answers have one generated for every prompt, greedily. All examples are tokenised and checked
 * before the first forward pass. `composition.mix` has one row.
 * @throws UsageError: wrong metrics, options, or a mix with several rows; FormatError with `file:line`: nothing to
 *         score, unknown labels, a file with one label only; InputError: examples and model do not fit together,
 *         examples longer than learned positions; NonFiniteError: outputs that are not finite, naming the lines. Longer
 *         than other positions, and cut: a warning.
 */
WEFT_API Report evaluate(const model::BaseModel& model, const text::Tokenizer& tokenizer,
                         const data::Examples& examples, const model::Composition& composition = {},
                         const EvalOptions& options = {});

}  // namespace weft::eval
