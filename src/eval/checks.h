#pragma once

#include <vector>

#include "weft/eval/evaluate.h"

namespace weft::eval {

// What is wrong with options before anything runs. All throw UsageError.

/// Numbers out of range, a label template without its place.
void check_eval_options(const EvalOptions& options);
/// Options that only label similarity has, and that would otherwise be ignored in silence.
void refuse_similarity_options(const EvalOptions& options, const data::Examples& examples,
                               const model::ModelInfo& info);
/// The same of generated answers, unless a metric has some generated.
void refuse_answer_options(const EvalOptions& options, const std::vector<Metric>& metrics);
/// True when one of the metrics needs that.
bool any_needs(const std::vector<Metric>& metrics, Metric::Needs needs);

}  // namespace weft::eval
