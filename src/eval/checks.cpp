#include "eval/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "text/label_text.h"

namespace weft::eval {

void check_eval_options(const EvalOptions& options) {
  if (options.batch_tokens < 1)
    throw UsageError(fmt::format("batch_tokens is {}, expected at least 1", options.batch_tokens));
  if (!(options.temperature > 0) || !std::isfinite(options.temperature))
    throw UsageError(fmt::format("temperature is {}, expected a number above 0", options.temperature));
  if (options.max_tokens < 0 || options.max_new_tokens < 0)
    throw UsageError(fmt::format("max_tokens is {} and max_new_tokens {}, expected at least 0", options.max_tokens,
                                 options.max_new_tokens));
  text::check_label_template(options.label_template);
}

void refuse_similarity_options(const EvalOptions& options, const data::Examples& examples,
                               const model::ModelInfo& info) {
  const EvalOptions usual;
  const std::string name = !options.labels.empty()                          ? "labels"
                           : options.temperature != usual.temperature       ? "temperature"
                           : options.label_template != usual.label_template ? "label_template"
                           : options.max_tokens != usual.max_tokens         ? "max_tokens"
                                                                            : "";
  if (name.empty()) return;
  throw UsageError(
      fmt::format("{} is for label similarity, that is for texts with labels on an encoder without a classification "
                  "head; here are {} examples on {} ({}); leave it out",
                  name, data::kind_name(examples.kind), info.path.string(), info.architecture));
}

bool any_needs(const std::vector<Metric>& metrics, Metric::Needs needs) {
  return std::any_of(metrics.begin(), metrics.end(), [&](const Metric& metric) { return metric.needs == needs; });
}

void refuse_answer_options(const EvalOptions& options, const std::vector<Metric>& metrics) {
  const EvalOptions usual;
  if (any_needs(metrics, Metric::Needs::kAnswer)) return;
  const bool length = options.max_new_tokens != usual.max_new_tokens;
  if (length || options.stop != usual.stop)
    throw UsageError(
        fmt::format("{} is of generated answers, and no metric here has any generated; ask for exact_match, "
                    "normalized_match or rouge_l, or leave it out",
                    length ? "max_new_tokens" : "stop"));
}

}  // namespace weft::eval
