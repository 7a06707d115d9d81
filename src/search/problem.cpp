#include <fmt/format.h>

#include <cmath>

#include "weft/search/optimizer.h"

namespace weft::search {

namespace {

void check_box(const Problem& problem) {
  if (problem.lower.empty()) throw UsageError("there is nothing to search: the box has no coordinates");
  if (problem.upper.size() != problem.lower.size()) {
    throw UsageError(
        fmt::format("the box has {} lower and {} upper bounds", problem.lower.size(), problem.upper.size()));
  }
  for (size_t i = 0; i < problem.size(); ++i) {
    const double low = problem.lower[i], high = problem.upper[i];
    if (!std::isfinite(low) || !std::isfinite(high) || !std::isfinite(high - low)) {
      throw UsageError(fmt::format("the bounds of coordinate {} are {} and {}, expected finite numbers", i, low, high));
    }
    if (low > high) throw UsageError(fmt::format("the bounds of coordinate {} are crossed: {} > {}", i, low, high));
  }
}

void check_inside(const Problem& problem, const Point& point, const std::string& what) {
  if (point.size() != problem.size()) {
    throw UsageError(fmt::format("{} has {} coordinates, the box {}", what, point.size(), problem.size()));
  }
  for (size_t i = 0; i < point.size(); ++i) {
    if (point[i] >= problem.lower[i] && point[i] <= problem.upper[i]) continue;
    throw UsageError(fmt::format("coordinate {} of {} is {}, outside of the box from {} to {}", i, what, point[i],
                                 problem.lower[i], problem.upper[i]));
  }
}

}  // namespace

void Problem::check() const {
  check_box(*this);
  check_inside(*this, start, "the start");
  if (!origin.empty()) check_inside(*this, origin, "the origin");
  for (size_t i = 0; i < singles.size(); ++i) check_inside(*this, singles[i], fmt::format("single {}", i));
  if (budget < 1) throw UsageError(fmt::format("the budget is {}, expected at least 1 evaluation", budget));
  if (gradient_cost < 1) {
    throw UsageError(fmt::format("a gradient costs {} evaluations, expected at least 1", gradient_cost));
  }
}

}  // namespace weft::search
