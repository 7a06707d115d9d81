#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/core/log.h"
#include "weft/core/tensor.h"
#include "weft/data/examples.h"
#include "weft/model/model.h"
#include "weft/text/tokenizer.h"
#include "weft/train/options.h"

namespace weft::train {

/// What is learned from examples.
enum class Objective {
  kTokens,      ///< the tokens of a text or a completion, by a causal model
  kTarget,      ///< the completion, by the decoder of a seq2seq model
  kHead,        ///< the label, by a classification head
  kSimilarity,  ///< the label, by the similarity of embeddings
};

/// Examples as a model takes them, checked.
struct Task {
  Objective objective = Objective::kTokens;
  std::vector<std::vector<std::int64_t>> inputs;
  std::vector<std::vector<std::int64_t>> targets;       ///< kTarget
  std::vector<std::int64_t> first;                      ///< kTokens: index of the first id that is scored
  std::vector<std::int64_t> label;                      ///< kHead, kSimilarity: index of the right one
  std::vector<std::string> labels;                      ///< kSimilarity: names
  std::vector<std::vector<std::int64_t>> label_inputs;  ///< kSimilarity: what stands for each

  std::int64_t count() const { return static_cast<std::int64_t>(inputs.size()); }
  /// What example `index` adds to the denominator of the loss.
  std::int64_t scored(std::int64_t index) const;
  /// Tokens that example `index` runs through the model, labels apart.
  std::int64_t length(std::int64_t index) const;
  /// Hex SHA-256 of all of it.
  std::string fingerprint() const;
};

/**
 * Tokenises and checks examples. `labels`: the names that label similarity chooses from; empty: those of the examples.
 * @throws FormatError with `file:line`: nothing to read or to score, unknown labels; InputError: examples that do not
 *         suit the model, a single class, examples longer than learned positions (unless max_tokens cuts them).
 *         Longer than other positions: a warning.
 */
Task make_task(const data::Examples& examples, const model::ModelInfo& info, const text::Tokenizer& tokenizer,
               const TrainOptions& options, const std::vector<std::string>& labels, Log& log);

}  // namespace weft::train
