#include "train/job_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "adapter/output_place.h"
#include "core/staged.h"
#include "model/model_data.h"
#include "weft/core/value.h"

namespace weft::train {
namespace {

namespace fs = std::filesystem;

/// A checkpoint keeps the curve, whose text has an end.
constexpr std::int64_t kMostKeptSteps = 500000;

/// True if an option is not at its usual value.
bool is_set(const TrainOptions& options, const std::string& name) {
  static const Value usual = to_value({});
  const Value own = to_value(options);
  return !own.find(name)->same_as(*usual.find(name));
}

void refuse_set(const TrainOptions& options, const std::vector<std::string>& names, const std::string& why) {
  for (const std::string& name : names)
    if (is_set(options, name)) throw UsageError(fmt::format("{} {}; leave it out", name, why));
}

}  // namespace

void check_apart(const fs::path& output, const fs::path& input) {
  if (adapter::would_replace(output, input))
    throw UsageError(fmt::format("{}: the output would replace an input ({}); choose another output", output.string(),
                                 input.string()));
}

void check_job(const model::BaseModel& model, const TrainJob& job) {
  check_options(job.options);
  const std::vector<std::string> dtypes = {"float32", "float16", "bfloat16"};
  if (std::find(dtypes.begin(), dtypes.end(), job.dtype) == dtypes.end())
    throw UsageError(fmt::format("unknown dtype '{}'{}", job.dtype, suggestion(job.dtype, dtypes)));
  if (job.output.empty()) throw UsageError("no output: name the folder to write");
  std::error_code ignored;
  if (!job.force && fs::exists(job.output, ignored))
    throw UsageError(fmt::format("{} exists; choose another output, or replace it with force", job.output.string()));
  if (fs::equivalent(job.output, model.info().path, ignored))
    throw UsageError(fmt::format("{} is the base model; choose another output", job.output.string()));
  check_apart(job.output, model.info().path);
  check_apart(job.output, job.examples.file);
  if (job.validation) check_apart(job.output, job.validation->file);
  if (job.start) check_apart(job.output, job.start->info().path);
  if (job.options.all_weights && job.start)
    throw UsageError("an adapter to start from goes with training an adapter, not with all_weights");
  if (!job.validation)
    refuse_set(job.options, {"eval_every", "patience"}, "is about a validation, and there are no examples for one");
  if (!model.data().device.is_cpu()) throw UsageError("training runs on the CPU; use device cpu");
  const StagedFolder rehearsal(job.output, job.force);  // refuses what could not be written in the end
}

void check_options_fit(const TrainJob& job, Objective objective, std::int64_t steps) {
  const TrainOptions& options = job.options;
  if (objective != Objective::kSimilarity)
    refuse_set(options, {"temperature", "label_template", "most_labels", "drawn_labels"},
               "is of label similarity, that is of labelled texts on an encoder without a head");
  if (objective != Objective::kTokens || job.examples.kind == data::Kind::kText)
    refuse_set(options, {"append_end"}, "is of prompts and completions on a causal model");
  if (options.all_weights) refuse_set(options, {"rank", "alpha"}, "is an adapter's; all_weights trains none");
  if (options.warmup > 0 && options.warmup >= steps)
    throw UsageError(fmt::format("warmup of {} updates does not end within {} updates", options.warmup, steps));
  if (options.save_every > 0 && steps > kMostKeptSteps)
    throw UsageError(
        fmt::format("{} updates: checkpoints keep the losses of at most {}; train for less, or without "
                    "checkpoints (save_every 0)",
                    steps, kMostKeptSteps));
}

}  // namespace weft::train
