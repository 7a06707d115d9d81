#include "train/loss.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "data/batches.h"

namespace weft::train {
namespace {

nn::Batch batch_of(const std::vector<std::vector<std::int64_t>>& lists, const std::vector<std::int64_t>& examples) {
  nn::Batch out;
  for (const std::int64_t i : examples) out.ids.push_back(lists[static_cast<size_t>(i)]);
  return out;
}

Tensor index_tensor(const std::vector<std::int64_t>& values) {
  return at::tensor(at::ArrayRef<std::int64_t>(values), at::TensorOptions().dtype(at::kLong));
}

/// Σ -log softmax(logits)[right], rows and right answers in step.
Tensor cross_entropy_sum(const Tensor& logits, const std::vector<std::int64_t>& right) {
  const Tensor chosen = logits.gather(1, index_tensor(right).to(logits.device()).unsqueeze(1)).squeeze(1);
  return (at::logsumexp(logits, 1) - chosen).sum();
}

std::vector<std::int64_t> labels_of(const Task& task, const std::vector<std::int64_t>& examples) {
  std::vector<std::int64_t> out;
  for (const std::int64_t i : examples) out.push_back(task.label[static_cast<size_t>(i)]);
  return out;
}

std::vector<std::int64_t> counted_up_to(std::int64_t count) {
  std::vector<std::int64_t> out(static_cast<size_t>(count));
  std::iota(out.begin(), out.end(), std::int64_t{0});
  return out;
}

/// Texts and labels go through the encoder together.
Tensor similarity_loss(const model::BaseModel& model, const model::Composition& composition, const Task& task,
                       const std::vector<std::int64_t>& examples, const std::vector<std::int64_t>& labels,
                       double temperature) {
  nn::Batch batch = batch_of(task.inputs, examples);
  for (const std::int64_t label : labels) batch.ids.push_back(task.label_inputs[static_cast<size_t>(label)]);
  const Tensor embeddings = model.embed(batch, composition);
  const auto texts = static_cast<std::int64_t>(examples.size());
  const Tensor of_labels = embeddings.narrow(0, texts, static_cast<std::int64_t>(labels.size()));
  const Tensor logits = at::matmul(embeddings.narrow(0, 0, texts), of_labels.t()) / temperature;
  std::vector<std::int64_t> right;
  for (const std::int64_t label : labels_of(task, examples))
    right.push_back(std::find(labels.begin(), labels.end(), label) - labels.begin());
  return cross_entropy_sum(logits, right);
}

/// The examples that run together in a validation.
std::vector<std::vector<std::int64_t>> batches_of(const Task& task, std::int64_t budget) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < task.count(); ++i) lengths.push_back(task.length(i));
  std::vector<std::vector<std::int64_t>> out;
  for (const auto& batch : data::make_batches(lengths, budget)) out.emplace_back(batch.begin(), batch.end());
  return out;
}

}  // namespace

Tensor loss_sum(const model::BaseModel& model, const model::Composition& composition, const Task& task,
                const std::vector<std::int64_t>& examples, const std::vector<std::int64_t>& labels,
                double temperature) {
  const nn::Batch inputs = batch_of(task.inputs, examples);
  switch (task.objective) {
    case Objective::kTokens: {
      std::vector<std::int64_t> first;
      for (const std::int64_t i : examples) first.push_back(task.first[static_cast<size_t>(i)]);
      return model.nll(inputs, first, composition).sum();
    }
    case Objective::kTarget: return model.nll(inputs, batch_of(task.targets, examples), composition).sum();
    case Objective::kHead: return cross_entropy_sum(model.classify(inputs, composition), labels_of(task, examples));
    case Objective::kSimilarity: break;
  }
  const auto all = static_cast<std::int64_t>(task.label_inputs.size());
  return similarity_loss(model, composition, task, examples, labels.empty() ? counted_up_to(all) : labels, temperature);
}

double mean_loss(const model::BaseModel& model, const model::Composition& composition, const Task& task,
                 double temperature, std::int64_t batch_tokens) {
  const c10::NoGradGuard no_gradients;
  Tensor of_labels;
  if (task.objective == Objective::kSimilarity) {
    nn::Batch labels;
    labels.ids = task.label_inputs;
    of_labels = model.embed(labels, composition);
  }
  double sum = 0.0, count = 0.0;
  for (const auto& batch : batches_of(task, batch_tokens)) {
    Tensor loss;
    if (of_labels.defined()) {
      const Tensor texts = model.embed(batch_of(task.inputs, batch), composition);
      loss = cross_entropy_sum(at::matmul(texts, of_labels.t()) / temperature, labels_of(task, batch));
    } else {
      loss = loss_sum(model, composition, task, batch, {}, temperature);
    }
    sum += loss.item().toDouble();
    for (const std::int64_t i : batch) count += static_cast<double>(task.scored(i));
  }
  return sum / count;
}

}  // namespace weft::train
