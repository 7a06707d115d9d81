#include "eval/objective_slope.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>

namespace weft::eval {

namespace {

/// By example: d loss / d nll.
std::vector<double> factors_of(const ObjectiveTask& task, const std::vector<size_t>& part) {
  std::vector<std::int64_t> tokens;
  for (const size_t example : part) tokens.push_back(task.scoring->scored(example));
  const std::vector<double> factors = loss_factors(task.rule, tokens);
  std::vector<double> out(task.all.size(), 0.0);
  for (size_t i = 0; i < part.size(); ++i) out[part[i]] = factors[i];
  return out;
}

/// Adds the gradients of some losses times their factors to those of the leaves.
LossSink backward_with(const std::vector<double>& factors) {
  return [&factors](const Tensor& losses, const std::vector<size_t>& examples) {
    const Tensor weights = at::empty({losses.size(0)}, at::kDouble);
    std::transform(examples.begin(), examples.end(), weights.mutable_data_ptr<double>(),
                   [&](size_t example) { return factors[example]; });
    (losses * weights.to(losses.options())).sum().backward();
  };
}

}  // namespace

Slope slope_of(const Objective::Data& data, const Weights& candidate, const std::vector<size_t>& part) {
  const at::AutoGradMode recording(true);
  const ObjectiveTask& task = *data.task;
  const std::vector<double> factors = factors_of(task, part);
  model::Composition composition = data.composition_of(&candidate, 1);
  Tensor& weights = composition.mix.weights;
  LossSink sink;
  if (weights.defined()) {
    weights.requires_grad_(true);
    sink = backward_with(factors);
  }
  std::vector<ExampleResult> results(part.size());
  Slope out;
  try {
    const ResultTable table({&results}, part, task.all.size());
    task.scoring->run({composition, part, data.batch_tokens(), table, sink});
  } catch (const NonFiniteError&) {
    out.score = std::numeric_limits<double>::quiet_NaN();
    out.gradient.assign(candidate.size(), out.score);
    return out;
  }
  out.score = score_of(task.rule, task.examples.list, results, part);
  if (!weights.defined()) return out;
  const double outer = task.rule.metric.name == "perplexity" ? out.score : 1.0;  // the slope of exp
  const Tensor gradient = weights.grad().to(at::kCPU, at::kDouble).contiguous();
  const double* from = gradient.const_data_ptr<double>();
  out.gradient.assign(from, from + gradient.numel());
  for (double& one : out.gradient) one *= outer;
  return out;
}

}  // namespace weft::eval
