#include "search/trust_region.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace weft::search {

namespace {

double inner(const Point& a, const Point& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double length(const Point& a) { return std::sqrt(inner(a, a)); }

Point times(const std::vector<double>& matrix, const Point& x) {
  const size_t n = x.size();
  Point out(n, 0.0);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) out[i] += matrix[i * n + j] * x[j];
  return out;
}

/// Solves (matrix + shift I) s = -gradient by Cholesky; empty when that is not positive definite.
Point solve_shifted(std::vector<double> matrix, double shift, const Point& gradient) {
  const size_t n = gradient.size();
  for (size_t j = 0; j < n; ++j) {
    matrix[j * n + j] += shift;
    for (size_t k = 0; k < j; ++k)
      for (size_t i = j; i < n; ++i) matrix[i * n + j] -= matrix[i * n + k] * matrix[j * n + k];
    const double pivot = matrix[j * n + j];
    if (!(pivot > 1e-14)) return {};
    const double root = std::sqrt(pivot);
    for (size_t i = j; i < n; ++i) matrix[i * n + j] /= root;
  }
  Point x(n);
  for (size_t i = 0; i < n; ++i) {
    x[i] = -gradient[i];
    for (size_t k = 0; k < i; ++k) x[i] -= matrix[i * n + k] * x[k];
    x[i] /= matrix[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) x[i] -= matrix[k * n + i] * x[k];
    x[i] /= matrix[i * n + i];
  }
  return x;
}

bool all_finite(const Point& point) {
  return std::all_of(point.begin(), point.end(), [](double x) { return std::isfinite(x); });
}

}  // namespace

Point trust_region_step(const std::vector<double>& model, const Point& gradient, double radius) {
  Point step = solve_shifted(model, 0.0, gradient);
  if (!step.empty() && length(step) <= radius) return step;
  // The length falls as the shift grows.
  double low = 0, high = 1e-3 + length(gradient) / std::max(radius, 1e-300);
  for (int i = 0; i < 60; ++i) {
    step = solve_shifted(model, high, gradient);
    if (!step.empty() && length(step) <= radius) break;
    high *= 2;
  }
  for (int i = 0; i < 50; ++i) {
    const double middle = 0.5 * (low + high);
    Point tried = solve_shifted(model, middle, gradient);
    if (!tried.empty() && length(tried) <= radius)
      high = middle, step = std::move(tried);
    else
      low = middle;
  }
  return step.empty() ? Point(gradient.size(), 0.0) : step;
}

TrustRegion::TrustRegion(Point lower, Point upper, Point start, double radius, double curvature)
    : lower_(std::move(lower)),
      upper_(std::move(upper)),
      next_(std::move(start)),
      radius_(radius),
      curvature_(curvature) {
  const size_t n = next_.size();
  model_.assign(n * n, 0.0);
  for (size_t i = 0; i < n; ++i) model_[i * n + i] = curvature_;
}

void TrustRegion::learn(double score, const Point& gradient) {
  const bool usable = std::isfinite(score) && all_finite(gradient);
  if (place_.empty()) {  // the start
    if (!usable) {
      converged_ = true;
      return;
    }
    place_ = next_, gradient_ = gradient, score_ = score;
    plan();
    return;
  }
  Point step(next_.size());
  for (size_t i = 0; i < step.size(); ++i) step[i] = next_[i] - place_[i];
  const double reach = length(step);
  if (!usable) {
    radius_ = 0.25 * reach;
    plan();
    return;
  }
  const double foretold = -(inner(gradient_, step) + 0.5 * inner(step, times(model_, step)));
  const double gained = score_ - score;
  Point change(step.size());
  for (size_t i = 0; i < change.size(); ++i) change[i] = gradient[i] - gradient_[i];
  update_model(step, change);
  const double ratio = foretold > 0 ? gained / foretold : -1.0;
  if (ratio < 0.25)
    radius_ = 0.25 * reach;
  else if (ratio > 0.7 && reach > 0.9 * radius_)
    radius_ *= 2;
  if (gained > 0) place_ = next_, gradient_ = gradient, score_ = score;
  plan();
}

void TrustRegion::update_model(const Point& step, const Point& change) {
  const size_t n = step.size();
  const double along = inner(step, change), squared = inner(step, step);
  if (!(squared > 0)) return;
  if (!scaled_ && along > 0) {
    std::fill(model_.begin(), model_.end(), 0.0);
    for (size_t i = 0; i < n; ++i) model_[i * n + i] = std::max(curvature_, along / squared);
    scaled_ = true;
  }
  const Point pushed = times(model_, step);
  const double own = inner(step, pushed);
  const double share = along >= 0.2 * own ? 1.0 : 0.8 * own / (own - along);
  Point mixed(n);
  for (size_t i = 0; i < n; ++i) mixed[i] = share * change[i] + (1 - share) * pushed[i];
  const double mixed_along = inner(step, mixed);
  if (!(mixed_along > 1e-14) || !(own > 1e-14)) return;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) model_[i * n + j] += mixed[i] * mixed[j] / mixed_along - pushed[i] * pushed[j] / own;
}

void TrustRegion::plan() {
  constexpr double kShortest = 1e-6;
  // Coordinates at an edge that the gradient pushes outwards stay there.
  Point reduced = gradient_;
  for (size_t i = 0; i < reduced.size(); ++i)
    if ((place_[i] <= lower_[i] && reduced[i] > 0) || (place_[i] >= upper_[i] && reduced[i] < 0)) reduced[i] = 0;
  const Point step = trust_region_step(model_, reduced, radius_);
  next_ = place_;
  for (size_t i = 0; i < next_.size(); ++i) next_[i] = std::clamp(place_[i] + step[i], lower_[i], upper_[i]);
  Point moved(next_.size());
  for (size_t i = 0; i < moved.size(); ++i) moved[i] = next_[i] - place_[i];
  if (length(moved) < kShortest) converged_ = true;
}

}  // namespace weft::search
