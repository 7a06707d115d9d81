#include "weft/flow/train.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

#include "flow/dtype.h"
#include "flow/start_adapter.h"
#include "model/random_model.h"
#include "train/job_check.h"
#include "weft/core/parallel.h"
#include "weft/flow/runtime.h"
#include "weft/model/model.h"
#include "weft/text/tokenizer.h"

namespace weft::flow {

namespace {

void check_run(const TrainRun& run) {
  if (run.base.empty()) throw UsageError("no base model: name its folder (--base, base_model)");
  if (run.data.empty()) throw UsageError("no examples: name their file (--data, examples)");
  if (run.output.empty()) throw UsageError("no output: name the folder to write (-o, output)");
  if (!run.start_weights.empty() && run.start_weights.size() != run.start.size())
    throw UsageError(fmt::format("{} weights for {} adapters to start from; give one each", run.start_weights.size(),
                                 run.start.size()));
  for (const double weight : run.start_weights)
    if (!std::isfinite(weight)) throw UsageError("a weight is not finite");
  check_trained_dtype(run.dtype, {"dtype", 0, 0});
  train::check_options(run.options);
  // Those that are merged first are not seen by the training itself.
  for (const adapter::Pool::Source& source : run.start) train::check_apart(run.output, source.path);
}

}  // namespace

train::TrainReport train(const TrainRun& run, Log& log) {
  check_run(run);
  at::set_num_threads(run.threads > 0 ? run.threads : default_threads());
  train::TrainJob job;
  job.options = run.options;
  job.output = run.output;
  job.dtype = run.dtype;
  job.force = run.force;
  job.examples = data::read_examples(run.data, {run.form});
  if (!run.validation.empty()) job.validation = data::read_examples(run.validation, {run.form});
  const model::BaseModel base =
      run.options.from_scratch ? model::random_model(run.base, run.options.seed) : model::BaseModel::open(run.base);
  for (const std::string& text : base.info().warnings) log.warning(text);
  const text::Tokenizer tokenizer = text::Tokenizer::open(run.base);
  check_tokenizer_fits(tokenizer, base.info());
  std::optional<StartAdapter> start;
  if (!run.start.empty()) {
    start.emplace(run.start, run.start_weights, run.base, run.options.lora.rank, log);
    job.start = start->adapter();
    job.initial = start->record();
  }
  return train::train(base, tokenizer, job, log);
}

}  // namespace weft::flow
