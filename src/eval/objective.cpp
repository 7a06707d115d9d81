#include "weft/eval/objective.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "eval/objective_data.h"
#include "eval/objective_slope.h"

namespace weft::eval {

Objective::Objective(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
                     nn::Experts experts, nn::Rule rule, std::vector<std::int64_t> group_of_module,
                     const ObjectiveOptions& options)
    : data_(std::make_unique<Data>(make_objective_task(model, tokenizer, examples, options), std::move(experts), rule,
                                   std::move(group_of_module))) {}
Objective::Objective(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Objective::~Objective() = default;
Objective::Objective(Objective&&) noexcept = default;

Objective Objective::with_experts(nn::Experts experts, nn::Rule rule) const {
  return Objective(std::make_unique<Data>(data_->task, std::move(experts), rule, std::vector<std::int64_t>()));
}

const nn::Experts& Objective::experts() const { return data_->experts; }
size_t Objective::examples() const { return data_->task->all.size(); }
size_t Objective::adapters() const { return static_cast<size_t>(data_->experts.count()); }
size_t Objective::groups() const { return data_->groups; }
std::int64_t Objective::tokens() const { return data_->task->scoring->tokens(); }
size_t Objective::chunk() const { return data_->chunk(); }

double Objective::observations() const {
  double out = 0;
  for (size_t i = 0; i < examples(); ++i) out += static_cast<double>(data_->task->scoring->scored(i));
  return out;
}

bool Objective::differentiable() const {
  const std::string_view name = data_->task->rule.metric.name;
  return name == "loss" || name == "perplexity";
}

std::vector<Candidate> Objective::evaluate(const std::vector<Weights>& candidates,
                                           const std::vector<size_t>& part) const {
  data_->check(candidates, part);
  std::vector<Candidate> out(candidates.size());
  for (size_t begin = 0; begin < candidates.size(); begin += chunk())
    data_->run(candidates.data() + begin, std::min(chunk(), candidates.size() - begin), data_->chosen(part),
               out.data() + begin);
  return out;
}

double Objective::score(const std::vector<ExampleResult>& results, const std::vector<size_t>& part) const {
  data_->check({}, part);
  const std::vector<size_t>& chosen = data_->chosen(part);
  if (results.size() != chosen.size())
    throw UsageError(fmt::format("{} results of {} examples, expected as many", results.size(), chosen.size()));
  return score_of(data_->task->rule, data_->task->examples.list, results, chosen);
}

double Objective::metric_value(double score) const { return data_->task->rule.metric.lower_is_better ? score : -score; }

Slope Objective::slope(const Weights& candidate, const std::vector<size_t>& part) const {
  const ObjectiveTask& task = *data_->task;
  if (!differentiable())
    throw UsageError(fmt::format("the metric '{}' has no gradient; loss and perplexity have", task.rule.metric.name));
  data_->check({candidate}, part);
  return slope_of(*data_, candidate, data_->chosen(part));
}

}  // namespace weft::eval
