#include "weft/train/train.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "adapter/trained_writer.h"
#include "model/model_data.h"
#include "model/parameters.h"
#include "model/write_checkpoint.h"
#include "nn/lower_states.h"
#include "train/job_check.h"
#include "train/lora.h"
#include "train/record.h"
#include "train/schedule.h"
#include "train/trainer.h"

namespace weft::train {
namespace {

/// Of a name that check_job() let pass.
c10::ScalarType dtype_of(const std::string& name) {
  if (name == "bfloat16") return c10::ScalarType::BFloat16;
  return name == "float16" ? c10::ScalarType::Half : c10::ScalarType::Float;
}

const char* task_type_of(Objective objective) {
  switch (objective) {
    case Objective::kTokens: return "CAUSAL_LM";
    case Objective::kTarget: return "SEQ_2_SEQ_LM";
    case Objective::kHead: return "SEQ_CLS";
    case Objective::kSimilarity: return "FEATURE_EXTRACTION";
  }
  return "";
}

const char* bias_name(Bias bias) { return bias == Bias::kNone ? "none" : bias == Bias::kAll ? "all" : "lora_only"; }

/// Beside the output, so that it is on the same disk.
std::filesystem::path checkpoint_of(const std::filesystem::path& output) {
  std::filesystem::path out = output.lexically_normal();
  if (!out.has_filename()) out = out.parent_path();
  return out.string() + ".training";
}

void write_adapter(const model::BaseModel& model, const TrainJob& job, const Task& task, LoraLeaves& lora,
                   const Value& record) {
  const LoraOptions& options = job.options.lora;
  const auto name_of = [&](const std::string& module) { return name_in_class(model.info().family, module); };
  adapter::TrainedAdapter out;
  out.base_model = model.info().path.string();
  out.task_type = task_type_of(task.objective);
  out.rank = options.rank, out.alpha = options.alpha;
  out.rslora = options.rslora, out.dora = options.dora;
  out.fan_in_fan_out = lora.transposed();
  out.dropout = options.dropout;
  out.bias = bias_name(options.bias);
  for (const nn::TrainableModule& module : lora.trainable().modules())
    out.modules.push_back({name_of(module.name), module.a.detach(), module.b.detach().t(),
                           module.magnitude.defined() ? module.magnitude.detach() : Tensor()});
  for (const nn::TrainableBias& bias : lora.trainable().biases())
    out.biases.emplace_back(name_of(bias.module) + ".bias", bias.value.detach());
  std::vector<std::string> all;
  for (const std::string& module : model.info().modules) all.push_back(name_of(module));
  adapter::write_trained(job.output, out, all, dtype_of(job.dtype), job.force, record);
}

struct Tasks {
  Task examples;
  std::optional<Task> validation;
  const Task* check() const { return validation ? &*validation : nullptr; }
};

Tasks tasks_of(const model::BaseModel& model, const text::Tokenizer& tokenizer, const TrainJob& job, Log& log) {
  Tasks out;
  out.examples = make_task(job.examples, model.info(), tokenizer, job.options, {}, log);
  if (!job.validation) return out;
  out.validation = make_task(*job.validation, model.info(), tokenizer, job.options, out.examples.labels, log);
  if (out.validation->objective != out.examples.objective)
    throw InputError(fmt::format("{}: {} examples cannot validate a training on {} examples",
                                 job.validation->file.string(), data::kind_name(job.validation->kind),
                                 data::kind_name(job.examples.kind)));
  return out;
}

/// True if sequences come back often enough, and are few enough, for their states below the adapter to be kept. The job
/// alone decides, so that a run that goes on does as it did before.
bool keeps_lower_states(const TrainOptions& options, const Tasks& tasks, std::int64_t width) {
  constexpr std::int64_t kMostBytes = std::int64_t{256} << 20;
  const auto count = static_cast<double>(tasks.examples.count());
  const double seen = options.steps > 0 ? static_cast<double>(options.steps) * static_cast<double>(options.batch) *
                                              static_cast<double>(options.accumulate)
                                        : options.epochs * count;
  std::int64_t tokens = 0;
  for (const Task* task : {&tasks.examples, tasks.check()}) {
    if (task == nullptr) continue;
    for (std::int64_t i = 0; i < task->count(); ++i) tokens += task->length(i);
    for (const auto& label : task->label_inputs) tokens += static_cast<std::int64_t>(label.size());
  }
  return seen >= 2.0 * count && nn::LowerStates::bytes(tokens, width) <= kMostBytes;
}

TrainReport train_adapter(const model::BaseModel& model, const TrainJob& job, const Tasks& tasks, Log& log) {
  LoraLeaves lora(model.data().network, job.options, job.start ? &*job.start : nullptr);
  if (keeps_lower_states(job.options, tasks, model.info().width)) lora.keep_lower_states();
  Subject subject;
  subject.model = &model;
  subject.leaves = &lora.leaves();
  subject.composition = [&lora](double dropout, std::uint64_t key) {
    return model::Composition{lora.experts(dropout, key), nn::Mix::of({1.0})};
  };
  const auto kept = checkpoint_of(job.output);
  Trainer trainer(subject, tasks.examples, tasks.check(), job.options, kept,
                  fingerprint_of(model, job, tasks.examples, tasks.check()), log);
  TrainReport report = trainer.run();
  write_adapter(model, job, tasks.examples, lora, record_of(job, tasks.examples, report));
  return report;
}

TrainReport train_weights(const model::BaseModel& model, const TrainJob& job, const Tasks& tasks, Log& log) {
  std::vector<std::pair<std::string, Tensor>> weights;
  const model::BaseModel copy = model::trainable_copy(model, weights);
  std::vector<Leaf> leaves;
  for (const auto& [name, weight] : weights)
    leaves.push_back({name, weight, at::zeros_like(weight).detach(), at::zeros_like(weight).detach()});
  Subject subject;
  subject.model = &copy;
  subject.leaves = &leaves;
  subject.composition = [](double, std::uint64_t) { return model::Composition{}; };
  const auto kept = checkpoint_of(job.output);
  Trainer trainer(subject, tasks.examples, tasks.check(), job.options, kept,
                  fingerprint_of(model, job, tasks.examples, tasks.check()), log);
  TrainReport report = trainer.run();
  model::write_checkpoint(job.output, model, weights, dtype_of(job.dtype), job.force,
                          record_of(job, tasks.examples, report));
  return report;
}

}  // namespace

TrainReport train(const model::BaseModel& model, const text::Tokenizer& tokenizer, const TrainJob& job, Log& log) {
  check_job(model, job);
  const Tasks tasks = tasks_of(model, tokenizer, job, log);
  check_options_fit(job, tasks.examples.objective, steps_of(job.options, tasks.examples.count()));
  TrainReport report =
      job.options.all_weights ? train_weights(model, job, tasks, log) : train_adapter(model, job, tasks, log);
  std::error_code ignored;
  std::filesystem::remove(checkpoint_of(job.output), ignored);
  return report;
}

}  // namespace weft::train
