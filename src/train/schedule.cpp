#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "weft/core/random.h"

namespace weft::train {
namespace {

/// A drawn number in [0, below): 64 bits times `below`, whose bias is beneath notice.
std::int64_t drawn_below(const Philox& random, std::uint64_t index, std::int64_t below) {
  const auto words = random.block(index);
  const std::uint64_t bits = (std::uint64_t{words[0]} << 32) | words[1];
  return static_cast<std::int64_t>((static_cast<unsigned __int128>(bits) * static_cast<std::uint64_t>(below)) >> 64);
}

/// The first `take` places of a shuffle (Fisher and Yates).
void shuffle_front(std::vector<std::int64_t>& values, std::int64_t take, std::uint64_t key) {
  const Philox random(key);
  const auto count = static_cast<std::int64_t>(values.size());
  for (std::int64_t i = 0; i < std::min(take, count - 1); ++i)
    std::swap(values[static_cast<size_t>(i)],
              values[static_cast<size_t>(i + drawn_below(random, static_cast<std::uint64_t>(i), count - i))]);
}

}  // namespace

double rate_of(const TrainOptions& options, std::int64_t step, std::int64_t steps) {
  if (step < options.warmup)
    return options.learning_rate * static_cast<double>(step + 1) / static_cast<double>(options.warmup);
  const double after = static_cast<double>(steps - options.warmup);
  const double held = options.hold * after;
  const double at = static_cast<double>(step - options.warmup);
  if (options.schedule == Schedule::kConstant || at < held) return options.learning_rate;
  const double done = std::min(1.0, (at - held) / std::max(1.0, after - held));
  const double left = options.schedule == Schedule::kLinear ? 1.0 - done : 0.5 * (1.0 + std::cos(M_PI * done));
  return options.learning_rate * (options.final_rate + (1.0 - options.final_rate) * left);
}

std::int64_t examples_per_step(const TrainOptions& options, std::int64_t count) {
  return options.batch >= count ? count : std::min(count, options.batch * options.accumulate);
}

std::int64_t steps_of(const TrainOptions& options, std::int64_t count) {
  if (options.steps > 0) return options.steps;
  const auto per_step = static_cast<double>(examples_per_step(options, count));
  return std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::ceil(options.epochs * static_cast<double>(count) / per_step)));
}

void Order::open_epoch(std::int64_t epoch) {
  if (epoch == epoch_) return;
  order_.resize(static_cast<size_t>(count_));
  std::iota(order_.begin(), order_.end(), std::int64_t{0});
  shuffle_front(order_, count_, hash_key("order of the examples", seed_) + static_cast<std::uint64_t>(epoch));
  epoch_ = epoch;
}

std::vector<std::int64_t> Order::of_step(std::int64_t step, std::int64_t per_step) {
  std::vector<std::int64_t> out;
  for (std::int64_t at = step * per_step; at < (step + 1) * per_step; ++at) {
    open_epoch(at / count_);
    out.push_back(order_[static_cast<size_t>(at % count_)]);
  }
  return out;
}

std::vector<std::int64_t> draw_some(std::int64_t count, std::int64_t take, std::uint64_t key) {
  std::vector<std::int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), std::int64_t{0});
  if (take >= count) return all;
  shuffle_front(all, take, key);
  all.resize(static_cast<size_t>(take));
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace weft::train
