#include "data/batches.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

using weft::data::make_batches;

TEST_CASE("data/batches: within the budget, longest first, every index once") {
  const std::vector<std::vector<size_t>> expected = {{2}, {0, 3}, {4, 1}};
  CHECK(make_batches({5, 1, 20, 5, 4}, 10) == expected);
  CHECK(make_batches({1, 1, 1}, 1).size() == 3);
  CHECK(make_batches({1, 1, 1}, 3).size() == 1);
  CHECK(make_batches({}, 3).empty());
}
