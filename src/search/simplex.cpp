#include "simplex.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace weft::search {

namespace {

/// Lengths that differ by less, relatively, are the same but for rounding.
constexpr double kTie = 1e-12;

double simplex_dot(const Point& a, const Point& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Point total_of(const std::vector<Point>& rows) {
  Point total(rows.size(), 0.0);
  for (const Point& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) total[i] += row[i];
  }
  return total;
}

/// The inverse of a matrix given by columns, by rows; empty when it is singular (Gauss-Jordan, partial pivoting).
std::vector<Point> inverse_of(const std::vector<Point>& columns) {
  const size_t n = columns.size();
  std::vector<Point> a(n, Point(n)), inverse(n, Point(n, 0.0));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) a[i][j] = columns[j][i];
    inverse[i][i] = 1;
  }
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i][k]) > std::abs(a[pivot][k])) pivot = i;
    }
    if (!(std::abs(a[pivot][k]) > 0)) return {};
    std::swap(a[k], a[pivot]);
    std::swap(inverse[k], inverse[pivot]);
    const double scale = 1 / a[k][k];
    for (size_t j = 0; j < n; ++j) a[k][j] *= scale, inverse[k][j] *= scale;
    for (size_t i = 0; i < n; ++i) {
      const double factor = a[i][k];
      if (i == k || factor == 0) continue;
      for (size_t j = 0; j < n; ++j) a[i][j] -= factor * a[k][j], inverse[i][j] -= factor * inverse[k][j];
    }
  }
  return inverse;
}

}  // namespace

Simplex::Simplex(const Point& pole, double size)
    : pole_(pole),
      edges_(pole.size(), Point(pole.size(), 0.0)),
      scores_(pole.size() + 1, std::numeric_limits<double>::max()) {
  for (size_t j = 0; j < pole.size(); ++j) edges_[j][j] = size;
}

void Simplex::add_first(size_t j, const Point& point, double score, double size) {
  scores_[j] = score;
  if (!(score < scores_.back())) return;
  // The new point becomes the pole and the old pole its vertex; earlier vertices lie one step farther back.
  std::swap(scores_[j], scores_.back());
  pole_ = point;
  for (size_t k = 0; k <= j; ++k) edges_[k][j] = -size;
}

bool Simplex::invert() {
  inverse_ = inverse_of(edges_);
  return !inverse_.empty();
}

Point Simplex::from_pole(const Point& step) const {
  Point point = pole_;
  for (size_t i = 0; i < point.size(); ++i) point[i] += step[i];
  return point;
}

bool Simplex::within(double distance) const {
  const double most = distance * distance * (1 + kTie);
  return std::all_of(edges_.begin(), edges_.end(), [&](const Point& edge) { return simplex_dot(edge, edge) <= most; });
}

size_t Simplex::farthest() const {
  size_t at = 0;
  double most = 0;
  for (size_t j = 0; j < edges_.size(); ++j) {
    const double squared = simplex_dot(edges_[j], edges_[j]);
    if (squared > most * (1 + kTie)) at = j, most = squared;
  }
  return at;
}

Point Simplex::gradient() const {
  Point gradient(pole_.size(), 0.0);
  for (size_t j = 0; j < edges_.size(); ++j) {
    const double rise = scores_[j] - scores_.back();
    for (size_t i = 0; i < gradient.size(); ++i) gradient[i] += rise * inverse_[j][i];
  }
  return gradient;
}

std::vector<double> Simplex::shares(const Point& step) const {
  std::vector<double> shares;
  double total = 0;
  for (const Point& row : inverse_) shares.push_back(simplex_dot(row, step)), total += shares.back();
  shares.push_back(1 - total);
  return shares;
}

bool Simplex::known(const Point& point, double distance, double& score) const {
  Point gap(point);
  for (size_t i = 0; i < gap.size(); ++i) gap[i] -= pole_[i];
  double nearest = simplex_dot(gap, gap);
  size_t at = edges_.size();
  for (size_t j = 0; j < edges_.size(); ++j) {
    Point from(gap);
    for (size_t i = 0; i < from.size(); ++i) from[i] -= edges_[j][i];
    const double squared = simplex_dot(from, from);
    if (squared < nearest || (squared == nearest && at == edges_.size())) nearest = squared, at = j;
  }
  if (!(nearest <= distance * distance)) return false;
  score = scores_[at];
  return true;
}

bool Simplex::replace(size_t j, const Point& step, double score) {
  const std::vector<double> along = shares(step);
  if (j < edges_.size()) {
    edges_[j] = step;
    Point row = inverse_[j];
    for (double& x : row) x /= along[j];
    for (size_t k = 0; k < edges_.size(); ++k) {
      for (size_t i = 0; i < row.size(); ++i) inverse_[k][i] -= along[k] * row[i];
    }
    inverse_[j] = std::move(row);
  } else {
    const Point total = total_of(inverse_);
    pole_ = from_pole(step);
    for (Point& edge : edges_) {
      for (size_t i = 0; i < edge.size(); ++i) edge[i] -= step[i];
    }
    for (size_t k = 0; k < edges_.size(); ++k) {
      for (size_t i = 0; i < total.size(); ++i) inverse_[k][i] += along[k] * (total[i] / along.back());
    }
  }
  if (!repair()) return false;
  scores_[j] = score;
  return best_to_pole();
}

bool Simplex::best_to_pole() {
  const size_t best = static_cast<size_t>(std::min_element(scores_.begin(), scores_.end()) - scores_.begin());
  if (scores_[best] < scores_.back()) {
    const Point edge = edges_[best];
    pole_ = from_pole(edge);
    std::fill(edges_[best].begin(), edges_[best].end(), 0.0);
    for (Point& other : edges_) {
      for (size_t i = 0; i < other.size(); ++i) other[i] -= edge[i];
    }
    inverse_[best] = total_of(inverse_);
    for (double& x : inverse_[best]) x = -x;
    std::swap(scores_[best], scores_.back());
  }
  return repair();
}

double Simplex::inverse_error() const {
  double worst = 0;
  for (size_t i = 0; i < edges_.size(); ++i) {
    for (size_t j = 0; j < edges_.size(); ++j) {
      const double error = std::abs(simplex_dot(inverse_[i], edges_[j]) - (i == j ? 1.0 : 0.0));
      if (!(error <= worst)) worst = error;
      if (std::isnan(error)) return error;
    }
  }
  return worst;
}

/// Computes the inverse anew when updating has spoilt it.
bool Simplex::repair() {
  constexpr double kTolerable = 1, kSuspicious = 0.1;
  const double error = inverse_error();
  if (error <= kSuspicious) return true;
  std::vector<Point> fresh = inverse_of(edges_);
  if (!fresh.empty()) {
    std::swap(inverse_, fresh);
    const double now = inverse_error();
    if (now < error || (std::isnan(error) && !std::isnan(now))) return now <= kTolerable;
    std::swap(inverse_, fresh);
  }
  return error <= kTolerable;
}

}  // namespace weft::search
