#pragma once

#include <cstdint>
#include <vector>

#include "train/task.h"
#include "weft/core/tensor.h"
#include "weft/model/model.h"

namespace weft::train {

/// Sum of the losses of some examples of a task, a float32 scalar that knows its gradient: negative log-likelihoods of
/// tokens, cross entropies of labels. `labels`: the indices that label similarity compares with; empty: all.
Tensor loss_sum(const model::BaseModel& model, const model::Composition& composition, const Task& task,
                const std::vector<std::int64_t>& examples, const std::vector<std::int64_t>& labels, double temperature);

/// Mean loss over a whole task, without gradients, in batches of about so many tokens.
double mean_loss(const model::BaseModel& model, const model::Composition& composition, const Task& task,
                 double temperature, std::int64_t batch_tokens = 2048);

}  // namespace weft::train
