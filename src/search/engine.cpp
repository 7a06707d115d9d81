#include "engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace weft::search {

namespace {

/// A matrix of this many rows and columns is 128 MiB.
constexpr size_t kMostSquare = 4096;

}  // namespace

Point widths(const Problem& box) {
  Point width(box.size());
  for (size_t i = 0; i < width.size(); ++i) width[i] = box.upper[i] - box.lower[i];
  return width;
}

std::vector<size_t> by_score(const std::vector<double>& scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  return order;
}

double fold(double value, double lower, double upper) {
  if (value < lower) value = lower + (lower - value);
  if (value > upper) value = upper - (value - upper);
  return std::clamp(value, lower, upper);
}

std::int64_t population_of(const OptimizerOptions& options, const Problem& box, std::int64_t otherwise,
                           std::int64_t fewest, const char* method) {
  if (options.population == 0) return std::max(fewest, otherwise);
  if (options.population < fewest) {
    throw UsageError(fmt::format("{} needs a population of at least {}, not {}", method, fewest, options.population));
  }
  return std::clamp(options.population, fewest, std::max(fewest, box.budget));
}

void check_square(const Problem& box, const char* method) {
  if (box.size() <= kMostSquare) return;
  throw UsageError(fmt::format(
      "{} keeps a square matrix and takes at most {} weights, not {}; use sep_cma_es, or search coarser weights",
      method, kMostSquare, box.size()));
}

}  // namespace weft::search
