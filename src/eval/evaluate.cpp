#include "weft/eval/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "data/batches.h"
#include "eval/answers.h"
#include "eval/bootstrap.h"
#include "eval/encode.h"
#include "eval/score.h"
#include "eval/similarity.h"
#include "text/label_text.h"

namespace weft::eval {

namespace {

void check_eval_options(const EvalOptions& options, const model::Composition& composition) {
  if (options.batch_tokens < 1)
    throw UsageError(fmt::format("batch_tokens is {}, expected at least 1", options.batch_tokens));
  if (!(options.temperature > 0) || !std::isfinite(options.temperature))
    throw UsageError(fmt::format("temperature is {}, expected a number above 0", options.temperature));
  if (options.max_tokens < 0 || options.max_new_tokens < 0)
    throw UsageError(fmt::format("max_tokens is {} and max_new_tokens {}, expected at least 0", options.max_tokens,
                                 options.max_new_tokens));
  text::check_label_template(options.label_template);
  if (composition.experts.count() > 0 && composition.mix.rows != nn::Mix::Rows::kModel)
    throw UsageError("an evaluation takes one row of weights for all examples");
}

/// Options that only label similarity has would otherwise be ignored in silence.
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

/// The same for options that only generated answers have.
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

/// Likelihoods of tokens, of choices, or of the labels of a head.
void score_likelihoods(const model::BaseModel& model, const data::Examples& examples, const Encoded& encoded,
                       const model::Composition& composition, std::int64_t batch_tokens, Log& log,
                       std::vector<ExampleResult>& results) {
  Scorer scorer(model, examples, composition, encoded, results);
  const auto total = static_cast<std::int64_t>(encoded.units.size());
  std::int64_t done = 0;
  double nll = 0, tokens = 0;
  log.progress("evaluating", 0, total, {});
  for (const std::vector<size_t>& batch : data::make_batches(encoded.lengths, batch_tokens)) {
    scorer.score(batch);
    done += static_cast<std::int64_t>(batch.size());
    for (const size_t unit : batch) {
      const size_t index = encoded.units[unit].example;
      const std::int64_t right = examples.list[index].answer;
      if (right >= 0 && static_cast<size_t>(right) != encoded.units[unit].choice) continue;
      nll += results[index].nll, tokens += static_cast<double>(results[index].tokens);
    }
    log.progress("evaluating", done, total, tokens > 0 ? fmt::format("loss {:.4f}", nll / tokens) : "");
  }
}

/// Prediction and score are those of the first metric that judges examples.
void take_verdicts(const std::vector<Metric>& metrics, const data::Examples& examples,
                   std::vector<ExampleResult>& results) {
  const auto judge =
      std::find_if(metrics.begin(), metrics.end(), [](const Metric& metric) { return metric.judge != nullptr; });
  // A label is always predicted, whatever is asked for.
  const Metric* metric = judge != metrics.end()                ? &*judge
                         : examples.kind == data::Kind::kLabel ? &find_metric("accuracy")
                                                               : nullptr;
  if (metric == nullptr) return;
  for (size_t i = 0; i < results.size(); ++i) {
    Verdict verdict = metric->judge(examples.list[i], results[i]);
    results[i].prediction = std::move(verdict.prediction);
    results[i].score = verdict.score;
  }
}

}  // namespace

Report evaluate(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
                const model::Composition& composition, const EvalOptions& options) {
  Log& log = options.log != nullptr ? *options.log : silent_log();
  check_eval_options(options, composition);
  const std::vector<Metric> metrics = choose_metrics(options.metrics, examples.kind);
  refuse_answer_options(options, metrics);
  Report out;
  out.examples.resize(examples.list.size());
  size_t labels = model.info().labels.size();
  if (uses_similarity(examples, model.info())) {
    const LabelSet set = similarity_labels(examples, options);
    labels = set.names.size();
    score_similarity(model, tokenizer, examples, set, composition, options, log, out.examples);
  } else {
    const bool all = any_needs(metrics, Metric::Needs::kChoices);
    const Encoded encoded = encode(examples, model.info(), tokenizer, all, options.threads, log);
    refuse_similarity_options(options, examples, model.info());
    for (size_t i = 0; all && i < out.examples.size(); ++i)
      out.examples[i].choices.resize(examples.list[i].choices.size());
    score_likelihoods(model, examples, encoded, composition, options.batch_tokens, log, out.examples);
    if (any_needs(metrics, Metric::Needs::kAnswer))
      generate_answers(model, tokenizer, examples, composition, options, log, out.examples);
  }
  take_verdicts(metrics, examples, out.examples);
  out.metrics = measure(metrics, examples.list, out.examples, labels, options.seed, options.threads);
  return out;
}

}  // namespace weft::eval
