#pragma once

#include <cstdint>
#include <vector>

#include "weft/train/options.h"

namespace weft::train {

/// Learning rate of update `step` (from 0) of `steps`: rises as (step + 1) / warmup, then falls as the schedule says.
double rate_of(const TrainOptions& options, std::int64_t step, std::int64_t steps);

/// Updates that `options` make of `count` examples.
std::int64_t steps_of(const TrainOptions& options, std::int64_t count);
/// Examples per update: `batch` · `accumulate`, at most `count`.
std::int64_t examples_per_step(const TrainOptions& options, std::int64_t count);

/**
 * The order of the examples: every epoch a permutation of its own, drawn from seed and epoch alone, so that a run can
 * begin anywhere. Updates take the next examples and may span two epochs.
 */
class Order {
 public:
  Order(std::int64_t count, std::uint64_t seed) : count_(count), seed_(seed) {}
  /// The examples of update `step` where each takes `per_step`.
  std::vector<std::int64_t> of_step(std::int64_t step, std::int64_t per_step);

 private:
  void open_epoch(std::int64_t epoch);

  std::int64_t count_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;  ///< of epoch_
};

/// Drawn numbers in [0, count), different from each other and in ascending order: all when `take` is not less.
std::vector<std::int64_t> draw_some(std::int64_t count, std::int64_t take, std::uint64_t key);

}  // namespace weft::train
