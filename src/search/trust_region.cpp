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

/// The lower triangle of Cholesky's factor of a symmetric matrix, row by row, in place of it. False when the matrix is
/// not positive definite.
bool factorize(std::vector<double>& matrix, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    double* row = matrix.data() + i * n;
    for (size_t j = 0; j <= i; ++j) {
      const double* other = matrix.data() + j * n;
      double sum = row[j];
      for (size_t k = 0; k < j; ++k) sum -= row[k] * other[k];
      if (j < i) {
        row[j] = sum / other[j];
      } else {
        if (!(sum > 1e-14)) return false;
        row[i] = std::sqrt(sum);
      }
    }
  }
  return true;
}

/// Solves L x = b.
Point solve_lower(const std::vector<double>& factor, Point b) {
  const size_t n = b.size();
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= factor[i * n + k] * b[k];
    b[i] /= factor[i * n + i];
  }
  return b;
}

/// Solves Lᵀ x = b.
Point solve_upper(const std::vector<double>& factor, Point b) {
  const size_t n = b.size();
  for (size_t i = n; i-- > 0;) {
    b[i] /= factor[i * n + i];
    for (size_t k = 0; k < i; ++k) b[k] -= factor[i * n + k] * b[i];
  }
  return b;
}

bool all_finite(const Point& point) {
  return std::all_of(point.begin(), point.end(), [](double x) { return std::isfinite(x); });
}

}  // namespace

// Newton's method on 1 / length - 1 / radius in the shift, which begins left of the root and stays there (Moré and
// Sorensen 1983): a few factorizations.
Point trust_region_step(const std::vector<double>& model, const Point& gradient, double radius) {
  constexpr int kMostFactorizations = 30;
  constexpr double kNearEnough = 1.02;
  const size_t n = gradient.size();
  Point downhill(gradient);
  for (double& x : downhill) x = -x;
  double shift = 0;
  Point step(n, 0.0);
  for (int i = 0; i < kMostFactorizations; ++i) {
    std::vector<double> factor = model;
    for (size_t k = 0; k < n; ++k) factor[k * n + k] += shift;
    if (!factorize(factor, n)) {
      shift = std::max(2 * shift, 1e-6);
      continue;
    }
    step = solve_upper(factor, solve_lower(factor, downhill));
    const double size = length(step);
    if (size <= radius * kNearEnough) break;
    const Point image = solve_lower(factor, step);
    shift += size * size / inner(image, image) * (size - radius) / radius;
  }
  const double size = length(step);
  if (size > radius)
    for (double& x : step) x *= radius / size;
  return step;
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
  // Coordinates at an edge that the gradient pushes outwards stay there, and the others do not count on their moving.
  const size_t n = place_.size();
  Point reduced = gradient_;
  std::vector<double> model = model_;
  for (size_t i = 0; i < n; ++i) {
    if (!(place_[i] <= lower_[i] && reduced[i] > 0) && !(place_[i] >= upper_[i] && reduced[i] < 0)) continue;
    reduced[i] = 0;
    for (size_t j = 0; j < n; ++j) model[i * n + j] = model[j * n + i] = i == j ? 1.0 : 0.0;
  }
  const Point step = trust_region_step(model, reduced, radius_);
  next_ = place_;
  for (size_t i = 0; i < next_.size(); ++i) next_[i] = std::clamp(place_[i] + step[i], lower_[i], upper_[i]);
  Point moved(next_.size());
  for (size_t i = 0; i < moved.size(); ++i) moved[i] = next_[i] - place_[i];
  if (length(moved) < kShortest) converged_ = true;
}

}  // namespace weft::search
