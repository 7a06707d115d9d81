#pragma once

#include <vector>

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

/**
 * Scores labelled texts by log softmax(cos(text, label) / temperature), both embedded through the composition.
 * @throws FormatError with `file:line` on a text without tokens; InputError with `file:line` on outputs that are not
 *         finite.
 */
void score_similarity(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
                      const LabelSet& labels, const model::Composition& composition, const EvalOptions& options,
                      Log& log, std::vector<ExampleResult>& results);

}  // namespace weft::eval
