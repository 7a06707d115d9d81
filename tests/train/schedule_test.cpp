#include "train/schedule.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

using weft::train::Order;
using weft::train::Schedule;
using weft::train::TrainOptions;

TEST_CASE("train/schedule: the rate rises over the warm-up and falls to its share") {
  TrainOptions options;
  options.learning_rate = 2.0, options.warmup = 4, options.final_rate = 0.1;
  CHECK(rate_of(options, 0, 14) == doctest::Approx(0.5));
  CHECK(rate_of(options, 3, 14) == doctest::Approx(2.0));
  CHECK(rate_of(options, 4, 14) == doctest::Approx(2.0));
  CHECK(rate_of(options, 9, 14) == doctest::Approx(2.0 * (0.1 + 0.9 * 0.5)));
  options.schedule = Schedule::kLinear;
  CHECK(rate_of(options, 9, 14) == doctest::Approx(2.0 * (0.1 + 0.9 * 0.5)));
  CHECK(rate_of(options, 14, 14) == doctest::Approx(0.2));
  options.hold = 0.5;
  CHECK(rate_of(options, 9, 14) == doctest::Approx(2.0));
  CHECK(rate_of(options, 13, 14) == doctest::Approx(2.0 * (0.1 + 0.9 * 0.2)));
  options.schedule = Schedule::kConstant;
  CHECK(rate_of(options, 13, 14) == doctest::Approx(2.0));
}

TEST_CASE("train/schedule: every epoch is a permutation of its own, wherever a run begins") {
  constexpr std::int64_t kCount = 23, kPerStep = 7;
  Order order(kCount, 5);
  std::vector<std::int64_t> all;
  for (std::int64_t step = 0; step < 2 * kCount; ++step)
    for (const std::int64_t i : order.of_step(step, kPerStep)) all.push_back(i);
  std::vector<std::int64_t> expected(kCount);
  std::iota(expected.begin(), expected.end(), 0);
  std::vector<std::vector<std::int64_t>> epochs;
  for (std::int64_t epoch = 0; epoch < 2 * kPerStep; ++epoch) {
    epochs.emplace_back(all.begin() + epoch * kCount, all.begin() + (epoch + 1) * kCount);
    std::vector<std::int64_t> sorted = epochs.back();
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == expected);
  }
  CHECK(epochs[0] != epochs[1]);
  Order later(kCount, 5), other(kCount, 6);
  const auto tenth = later.of_step(10, kPerStep);
  CHECK(std::equal(tenth.begin(), tenth.end(), all.begin() + 10 * kPerStep));
  CHECK(other.of_step(10, kPerStep) != tenth);
}

TEST_CASE("train/schedule: drawn numbers are different and every number has its turn") {
  std::set<std::int64_t> seen;
  for (std::uint64_t key = 0; key < 200; ++key) {
    const auto some = weft::train::draw_some(30, 8, key);
    REQUIRE(some.size() == 8);
    CHECK(std::is_sorted(some.begin(), some.end()));
    CHECK(std::adjacent_find(some.begin(), some.end()) == some.end());
    seen.insert(some.begin(), some.end());
  }
  CHECK(seen.size() == 30);
  CHECK(weft::train::draw_some(3, 8, 1) == std::vector<std::int64_t>{0, 1, 2});
}

TEST_CASE("train/schedule: steps follow from epochs, and small sets make small updates") {
  TrainOptions options;
  options.batch = 16, options.accumulate = 2, options.epochs = 3;
  CHECK(examples_per_step(options, 100) == 32);
  CHECK(steps_of(options, 100) == 10);
  CHECK(examples_per_step(options, 10) == 10);
  CHECK(examples_per_step(options, 20) == 20);
  CHECK(steps_of(options, 10) == 3);
  options.steps = 7;
  CHECK(steps_of(options, 100) == 7);
}
