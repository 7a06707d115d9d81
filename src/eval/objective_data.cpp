#include "eval/objective_data.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "eval/checks.h"
#include "eval/similarity.h"
#include "nn/expert_data.h"
#include "nn/gate.h"
#include "nn/lower_states.h"
#include "nn/run.h"

namespace weft::eval {

namespace {

constexpr double kSpoiled = std::numeric_limits<double>::quiet_NaN();

Metric checked_metric(const ObjectiveOptions& options, const data::Examples& examples) {
  if (examples.list.empty())
    throw UsageError(fmt::format("{}: there are no examples, expected at least one", examples.file.string()));
  if (options.population_tokens < 1)
    throw UsageError(fmt::format("population_tokens is {}, expected at least 1", options.population_tokens));
  check_eval_options(options.eval);
  const std::vector<Metric> metrics = choose_metrics({options.metric}, examples.kind);
  refuse_answer_options(options.eval, metrics);
  check_normalization(metrics.front(), options);
  return metrics.front();
}

size_t groups_of(const std::vector<std::int64_t>& group_of_module) {
  std::int64_t most = 0;
  for (const std::int64_t group : group_of_module) most = std::max(most, group);
  return static_cast<size_t>(most) + 1;
}

/// Where blocks lie below the first adapted one, candidates that run one by one do so with what comes out of these,
/// which is kept.
nn::Experts keeping_lower_states(nn::Experts experts, std::int64_t tokens, std::int64_t width) {
  constexpr std::int64_t kMostBytes = std::int64_t{256} << 20;
  if (experts.data() == nullptr || experts.data()->lower != nullptr) return experts;
  if (tokens > kMostBytes / nn::LowerStates::bytes(1, width)) return experts;
  auto data = std::make_shared<nn::Experts::Data>(*experts.data());  // handles, not factors
  data->lower = std::make_shared<nn::LowerStates>();
  return nn::Experts(std::move(data));
}

/// `nll` of every example, and of all.
Candidate blank_candidate(size_t examples, double nll) {
  Candidate out;
  out.examples.resize(examples);
  for (ExampleResult& result : out.examples) result.nll = nll;
  out.score = nll;
  return out;
}

}  // namespace

std::shared_ptr<const ObjectiveTask> make_objective_task(const model::BaseModel& model,
                                                         const text::Tokenizer& tokenizer,
                                                         const data::Examples& examples,
                                                         const ObjectiveOptions& options) {
  const Metric metric = checked_metric(options, examples);
  auto task = std::make_shared<ObjectiveTask>(ObjectiveTask{
      model, tokenizer, examples, options, {metric, options.normalization, options.lorahub_batch}, {}, {}});
  Log& log = options.eval.log != nullptr ? *options.eval.log : silent_log();
  task->options.eval.log = nullptr;
  const ScoringInputs inputs{task->model, task->tokenizer, task->examples, task->options.eval, log};
  if (uses_similarity(examples, model.info())) {
    task->scoring = make_similarity_scoring(inputs);
  } else {
    refuse_similarity_options(options.eval, examples, model.info());
    task->scoring = metric.needs == Metric::Needs::kAnswer
                        ? make_answer_scoring(inputs)
                        : make_likelihood_scoring(inputs, metric.needs == Metric::Needs::kChoices);
  }
  task->rule.labels = task->scoring->labels();
  task->all.resize(examples.list.size());
  std::iota(task->all.begin(), task->all.end(), size_t{0});
  return task;
}

Objective::Data::Data(std::shared_ptr<const ObjectiveTask> of, nn::Experts with, nn::Rule by,
                      std::vector<std::int64_t> grouped)
    : task(std::move(of)),
      experts(keeping_lower_states(std::move(with), task->scoring->tokens(), task->model.info().width)),
      rule(by),
      group_of_module(std::move(grouped)),
      groups(groups_of(group_of_module)) {
  const std::vector<Weights> zero = {Weights(size(), 0.0)};
  if (size() > 0) nn::make_gate(composition_of(zero.data(), 1).mix, experts, nn::Layout::of({1}));  // checks all
}

size_t Objective::Data::chunk() const {
  if (!task->scoring->has_shared_passes()) return 1;
  const std::int64_t tokens = std::max<std::int64_t>(1, task->scoring->tokens());
  return static_cast<size_t>(std::max<std::int64_t>(1, task->options.population_tokens / tokens));
}

std::int64_t Objective::Data::batch_tokens() const {
  return task->options.population_tokens / static_cast<std::int64_t>(chunk());
}

void Objective::Data::check(const std::vector<Weights>& candidates, const std::vector<size_t>& part) const {
  for (const Weights& weights : candidates) {
    if (weights.size() != size())
      throw UsageError(fmt::format("a candidate has {} weights, expected {}: {} adapters in {} groups", weights.size(),
                                   size(), experts.count(), groups));
    for (const double weight : weights)
      if (!std::isfinite(static_cast<float>(weight)))
        throw UsageError(fmt::format("a candidate has the weight {}, expected a finite float32", weight));
  }
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] >= task->all.size())
      throw UsageError(
          fmt::format("example {} of a part, counted from 0, but there are {}", part[i], task->all.size()));
    if (i > 0 && part[i] <= part[i - 1])
      throw UsageError(fmt::format("the examples of a part are not ascending: {} after {}", part[i], part[i - 1]));
  }
}

model::Composition Objective::Data::composition_of(const Weights* candidates, size_t count) const {
  if (size() == 0) return {};
  const auto rows = static_cast<std::int64_t>(count), adapters = experts.count();
  model::Composition out{experts, {}};
  out.mix.rule = rule;
  out.mix.rows = count == 1 ? nn::Mix::Rows::kModel : nn::Mix::Rows::kCandidate;
  out.mix.group_of_module = group_of_module;
  out.mix.weights = group_of_module.empty()
                        ? at::empty({rows, adapters}, at::kFloat)
                        : at::empty({rows, static_cast<std::int64_t>(groups), adapters}, at::kFloat);
  float* to = out.mix.weights.mutable_data_ptr<float>();
  for (size_t c = 0; c < count; ++c)
    to = std::transform(candidates[c].begin(), candidates[c].end(), to,
                        [](double weight) { return static_cast<float>(weight); });
  return out;
}

void Objective::Data::run(const Weights* candidates, size_t count, const std::vector<size_t>& part,
                          Candidate* out) const {
  const size_t rows = size() == 0 ? 1 : count;  // the base alone is the same for all
  std::vector<std::vector<ExampleResult>*> lists;
  for (size_t c = 0; c < rows; ++c) {
    out[c] = blank_candidate(part.size(), 0.0);
    lists.push_back(&out[c].examples);
  }
  try {
    const ResultTable table(std::move(lists), part, task->all.size());
    task->scoring->run({composition_of(candidates, rows), part, batch_tokens(), table, {}});
  } catch (const NonFiniteError&) {
    return run_apart(candidates, count, part, out);
  }
  for (size_t c = 0; c < rows; ++c) out[c].score = score_of(task->rule, task->examples.list, out[c].examples, part);
  for (size_t c = rows; c < count; ++c) out[c] = out[0];
}

/// One of them, or a zero weight times what is not finite, has spoiled the pass.
void Objective::Data::run_apart(const Weights* candidates, size_t count, const std::vector<size_t>& part,
                                Candidate* out) const {
  for (size_t c = 0; c < count; ++c)
    if (count == 1)
      out[c] = blank_candidate(part.size(), kSpoiled);
    else
      run(candidates + c, 1, part, out + c);
}

}  // namespace weft::eval
