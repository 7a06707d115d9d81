#include "weft/flow/evaluate.h"

#include <utility>

namespace weft::flow {

Evaluation run_evaluation(const EvaluateJob& job, Log& log) {
  if (job.runtime.base.empty()) throw UsageError("there is no base model to evaluate; name its folder");
  if (job.data.empty()) throw UsageError("there are no examples to evaluate on; name their file");
  eval::EvalOptions options = job.options;
  options.threads = job.runtime.threads;
  options.log = &log;
  Evaluation out;
  out.examples = data::read_examples(job.data, job.reading);
  eval::choose_metrics(options.metrics, out.examples.kind);
  const Runtime runtime = open_runtime(job.runtime, log);
  out.report = eval::evaluate(runtime.model, runtime.tokenizer, out.examples, runtime.composition, options);
  return out;
}

}  // namespace weft::flow
