#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/score.h"
#include "eval/token_store.h"
#include "weft/core/tensor.h"
#include "weft/eval/evaluate.h"

namespace weft::eval {

/// The labels that are chosen from, and which of them are right.
struct LabelSet {
  std::vector<std::string> names;
  std::vector<size_t> right;  ///< per example
};

/// True when labels are told apart by similarity: an encoder without a classification head.
bool uses_similarity(const data::Examples& examples, const model::ModelInfo& info);

/// The label set of an evaluation by similarity: the options', else the examples'.
/// @throws UsageError / FormatError, whoever named them: fewer than two, empty or doubled ones; FormatError with
///         `file:line`: a label that is none of them.
LabelSet similarity_labels(const data::Examples& examples, const EvalOptions& options);

/// Texts cut and counted.
struct EncodedTexts {
  TokenStore ids;
  std::vector<std::int64_t> lengths;
  size_t cuts = 0, first_cut = 0;  ///< how many were cut, and the first of them
};

/**
 * Scores labelled texts by log softmax(cos(text, label) / temperature), both embedded through the composition, whose
 * results come candidate by candidate. Texts and descriptions of labels are tokenised once.
 */
class SimilarityScorer {
 public:
  /// What is referred to stays the caller's. Texts that are cut: a warning.
  /// @throws FormatError with `file:line` on a text without tokens.
  SimilarityScorer(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
                   const LabelSet& labels, const EvalOptions& options, Log& log);

  /// Tokens of each text.
  const std::vector<std::int64_t>& text_lengths() const { return texts_.lengths; }
  /// Tokens of the descriptions of all labels.
  std::int64_t label_tokens() const;

  /// [candidates, labels, width] float64 on the CPU, at most `batch_tokens` together.
  /// @throws NonFiniteError.
  Tensor embed_labels(const model::Composition& composition, std::int64_t candidates, std::int64_t batch_tokens) const;
  /// Runs some texts together; `labels` is what embed_labels() gives. @throws NonFiniteError naming the lines.
  void score(const std::vector<size_t>& batch, const model::Composition& composition, const Tensor& labels,
             const ResultTable& results, const LossSink& sink) const;
  /// Runs some texts and all labels in one pass. @throws NonFiniteError naming the lines.
  void score_with_labels(const std::vector<size_t>& texts, const model::Composition& composition,
                         const ResultTable& results, const LossSink& sink) const;

 private:
  void judge(const std::vector<size_t>& batch, const Tensor& texts, const Tensor& labels, const ResultTable& results,
             const LossSink& sink) const;

  const model::BaseModel& model_;
  const data::Examples& examples_;
  const LabelSet& labels_;
  double temperature_;
  EncodedTexts texts_, descriptions_;
};

/**
 * Scores all examples with one composition.
 * @throws FormatError with `file:line` on a text without tokens; InputError with `file:line` on outputs that are not
 *         finite.
 */
void score_similarity(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
                      const LabelSet& labels, const model::Composition& composition, const EvalOptions& options,
                      Log& log, std::vector<ExampleResult>& results);

}  // namespace weft::eval
