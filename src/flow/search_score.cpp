#include "flow/search_score.h"

#include <cmath>

namespace weft::flow {

namespace {

double mean_of(const search::Point& point) {
  double sum = 0;
  for (const double x : point) sum += x;
  return point.empty() ? 0.0 : sum / static_cast<double>(point.size());
}

}  // namespace

bool is_likelihood(const SearchOptions& options) {
  return options.objective.metric == "loss" && options.objective.normalization != eval::Normalization::kLoraHub;
}

Penalty::Penalty(const SearchOptions& options, double observations)
    : l1_(options.l1), l2_(options.l2), uniform_(options.uniform), prior_(0) {
  const double width = options.prior.value_or(0.0);
  if (width > 0 && observations > 0) prior_ = 1.0 / (2.0 * width * width * observations);
}

double Penalty::total(double score, const search::Point& point) const {
  const auto n = static_cast<double>(point.size());
  const double mean = mean_of(point);
  double absolute = 0, squares = 0, spread = 0;
  for (const double x : point) absolute += std::fabs(x), squares += x * x, spread += (x - mean) * (x - mean);
  if (point.empty()) return score;
  return score + l1_ * absolute / n + l2_ * squares / n + uniform_ * spread / n + prior_ * squares;
}

void Penalty::add_gradient(const search::Point& point, search::Point& gradient) const {
  const auto n = static_cast<double>(point.size());
  const double mean = mean_of(point);
  for (size_t i = 0; i < point.size(); ++i) {
    const double x = point[i], sign = (x > 0) - (x < 0);
    gradient[i] += l1_ * sign / n + 2 * l2_ * x / n + 2 * uniform_ * (x - mean) / n + 2 * prior_ * x;
  }
}

}  // namespace weft::flow
