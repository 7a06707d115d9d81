#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "core/crew.h"

TEST_CASE("core/crew: every task runs once, loop after loop") {
  for (int loop = 0; loop < 20000; ++loop) {
    const std::int64_t count = loop % 37;
    std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
    auto work = [&](std::int64_t task) { runs[static_cast<size_t>(task)].fetch_add(1); };
    weft::crew_for(count, 0, work);
    for (const auto& n : runs) REQUIRE(n.load() == 1);
  }
}

TEST_CASE("core/crew: several threads may ask at the same time, and a nested loop runs inline") {
  std::atomic<std::int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c)
    callers.emplace_back([&] {
      for (int loop = 0; loop < 2000; ++loop) {
        auto inner = [&](std::int64_t task) { sum += task; };
        auto work = [&](std::int64_t) { weft::crew_for(4, 0, inner); };
        weft::crew_for(5, 0, work);
      }
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(sum == 3 * 2000 * 5 * (0 + 1 + 2 + 3));
}
