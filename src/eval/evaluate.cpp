#include "weft/eval/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "data/batches.h"
#include "eval/answers.h"
#include "eval/bootstrap.h"
#include "eval/checks.h"
#include "eval/encode.h"
#include "eval/score.h"
#include "eval/similarity.h"

namespace weft::eval {

namespace {

/// Likelihoods of tokens, of choices, or of the labels of a head.
void score_likelihoods(const model::BaseModel& model, const data::Examples& examples, const Encoded& encoded,
                       const model::Composition& composition, std::int64_t batch_tokens, Log& log,
                       std::vector<ExampleResult>& results) {
  const ResultTable table(results);
  const LossSink no_sink;
  Scorer scorer(model, examples, composition, encoded, table, no_sink);
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

void answer_all(const AnswerGenerator& generator, const model::Composition& composition, Log& log,
                std::vector<ExampleResult>& results) {
  std::vector<size_t> all(results.size());
  std::iota(all.begin(), all.end(), size_t{0});
  generator.run(all, composition, ResultTable(results), 0, log);
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
  check_eval_options(options);
  if (composition.experts.count() > 0 && composition.mix.rows != nn::Mix::Rows::kModel)
    throw UsageError("an evaluation takes one row of weights for all examples");
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
    const Encoded encoded = encode(examples, model.info(), tokenizer, all, options, log);
    refuse_similarity_options(options, examples, model.info());
    for (size_t i = 0; all && i < out.examples.size(); ++i)
      out.examples[i].choices.resize(examples.list[i].choices.size());
    score_likelihoods(model, examples, encoded, composition, options.batch_tokens, log, out.examples);
    if (any_needs(metrics, Metric::Needs::kAnswer))
      answer_all(AnswerGenerator(model, tokenizer, examples, options, log), composition, log, out.examples);
  }
  take_verdicts(metrics, examples, out.examples);
  out.metrics = measure(metrics, examples.list, out.examples, labels, options.seed, options.threads);
  return out;
}

}  // namespace weft::eval
