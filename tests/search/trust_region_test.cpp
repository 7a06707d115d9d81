#include "search/trust_region.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

namespace {

using weft::search::Point;
using weft::search::TrustRegion;

constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

double dot(const Point& a, const Point& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// ½ (x - best)·H(x - best), H with eigenvalues between 1 and about `condition`.
struct Quadratic {
  std::vector<double> matrix;
  Point best;

  Quadratic(size_t n, double condition, unsigned seed) : matrix(n * n, 0.0), best(n) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    for (double& x : best) x = 0.5 * normal(random);
    for (size_t k = 0; k < n; ++k) {
      Point axis(n);
      for (double& x : axis) x = normal(random);
      const double size = dot(axis, axis);
      for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < n; ++j)
          matrix[i * n + j] +=
              (i == j && k == 0 ? 1.0 : 0.0) + condition / static_cast<double>(n) * axis[i] * axis[j] / size;
    }
  }

  Point gradient(const Point& x) const {
    const size_t n = x.size();
    Point out(n, 0.0);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) out[i] += matrix[i * n + j] * (x[j] - best[j]);
    return out;
  }
  double score(const Point& x) const {
    Point off(x);
    for (size_t i = 0; i < x.size(); ++i) off[i] -= best[i];
    return 0.5 * dot(off, gradient(x));
  }
  /// The best point of a box, by coordinates in turn until nothing moves.
  Point best_in(const Point& lower, const Point& upper) const {
    const size_t n = best.size();
    Point x(n, 0.0);
    for (int sweep = 0; sweep < 5000; ++sweep)
      for (size_t i = 0; i < n; ++i) x[i] = std::clamp(x[i] - gradient(x)[i] / matrix[i * n + i], lower[i], upper[i]);
    return x;
  }
};

/// Steps until the path has converged or `most` evaluations are spent.
int follow(TrustRegion& path, const std::function<double(const Point&)>& score,
           const std::function<Point(const Point&)>& gradient, int most) {
  int evaluations = 0;
  while (!path.converged() && evaluations < most) {
    const Point at = path.next();
    path.learn(score(at), gradient(at));
    ++evaluations;
  }
  return evaluations;
}

int follow(TrustRegion& path, const Quadratic& f, int most) {
  return follow(
      path, [&](const Point& x) { return f.score(x); }, [&](const Point& x) { return f.gradient(x); }, most);
}

TrustRegion wide_path(size_t n, double radius = 0.5) {
  return TrustRegion(Point(n, -10.0), Point(n, 10.0), Point(n, 0.0), radius, 1e-6);
}

}  // namespace

TEST_CASE("search/trust_region: a step solves the model within the radius") {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  for (const size_t n : {size_t{1}, size_t{2}, size_t{7}, size_t{40}}) {
    const Quadratic f(n, 50.0, static_cast<unsigned>(n));
    Point gradient(n);
    for (double& x : gradient) x = normal(random);
    const Point whole = weft::search::trust_region_step(f.matrix, gradient, 1e9);
    // H s = -g, to rounding.
    for (size_t i = 0; i < n; ++i) {
      double image = 0;
      for (size_t j = 0; j < n; ++j) image += f.matrix[i * n + j] * whole[j];
      CHECK(std::fabs(image + gradient[i]) < 1e-9);
    }
    const double far = std::sqrt(dot(whole, whole));
    for (const double share : {0.9, 0.1, 1e-3, 1e-9}) {
      const double radius = share * far;
      const Point step = weft::search::trust_region_step(f.matrix, gradient, radius);
      const double size = std::sqrt(dot(step, step));
      CHECK(size <= radius * (1 + 1e-9));
      CHECK(size >= radius * 0.95);
      CHECK(dot(step, gradient) < 0);
      // H s + g = -shift s: what is left of the gradient points along the step.
      Point left(gradient);
      for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < n; ++j) left[i] += f.matrix[i * n + j] * step[j];
      const double along = -dot(left, step) / std::sqrt(dot(left, left) * dot(step, step));
      CHECK(along > 0.999);  // the length is met to 2 %, and then cut
    }
  }
}

TEST_CASE("search/trust_region: a step of a model that is no good is short, not wrong") {
  const Point gradient = {1.0, -2.0};
  for (const std::vector<double>& model :
       {std::vector<double>{0, 0, 0, 0}, {-1, 0, 0, -1}, {kNoNumber, 0, 0, 1}, {1e300, 1e300, 1e300, 1e300}}) {
    const Point step = weft::search::trust_region_step(model, gradient, 0.25);
    CHECK(step.size() == 2);
    for (const double x : step) CHECK(std::isfinite(x));
    CHECK(std::sqrt(dot(step, step)) <= 0.25 * (1 + 1e-9));
  }
  for (const double x : weft::search::trust_region_step({1, 0, 0, 1}, {0.0, 0.0}, 0.25)) CHECK(x == 0.0);
  for (const double x : weft::search::trust_region_step({1, 0, 0, 1}, {1e200, 0.0}, 0.25)) CHECK(std::isfinite(x));
}

TEST_CASE("search/trust_region: quadratics are solved in their dimension and a few steps more") {
  for (const size_t n : {size_t{1}, size_t{3}, size_t{8}, size_t{13}}) {
    int most = 0;
    for (unsigned seed = 0; seed < 20; ++seed) {
      const Quadratic f(n, 10.0, seed);
      TrustRegion path = wide_path(n);
      const int spent = follow(path, f, 200);
      most = std::max(most, spent);
      REQUIRE(path.converged());
      CHECK(path.best_score() < 1e-9);
      for (size_t i = 0; i < n; ++i) CHECK(std::fabs(path.best()[i] - f.best[i]) < 1e-4);
    }
    CAPTURE(n);
    CHECK(most <= 2 * static_cast<int>(n) + 14);
  }
}

TEST_CASE("search/trust_region: the best point of a box may lie at its edges") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    const size_t n = 2 + seed % 7;
    CAPTURE(seed);
    Quadratic f(n, 20.0, seed);
    for (double& x : f.best) x *= 3;  // most coordinates lie beyond
    const Point lower(n, -0.5), upper(n, 0.5);
    const Point best = f.best_in(lower, upper);
    TrustRegion path(lower, upper, Point(n, 0.0), 0.5, 1e-6);
    follow(path, f, 300);
    for (const double x : path.best()) CHECK((x >= -0.5 && x <= 0.5));
    CHECK(path.best_score() <= f.score(best) + 1e-4 * (f.score(Point(n, 0.0)) - f.score(best)));
  }
}

TEST_CASE("search/trust_region: a start at an edge, a box of one point and a radius larger than the box") {
  const Quadratic f(3, 5.0, 1);
  TrustRegion corner(Point(3, -2.0), Point(3, 2.0), Point(3, 2.0), 100.0, 1e-6);
  follow(corner, f, 100);
  CHECK(corner.best_score() < 1e-8);
  TrustRegion nowhere(Point(3, 0.5), Point(3, 0.5), Point(3, 0.5), 0.5, 1e-6);
  CHECK(follow(nowhere, f, 100) == 1);
  CHECK(nowhere.best() == Point(3, 0.5));
}

TEST_CASE("search/trust_region: scores and gradients that are not finite shorten the way") {
  const Quadratic f(4, 5.0, 2);
  for (const double bad : {kNoNumber, std::numeric_limits<double>::infinity()}) {
    // Nothing is defined at a distance of more than 1.2 from the best point.
    const auto cliff = [&](const Point& x) {
      Point off(x);
      for (size_t i = 0; i < 4; ++i) off[i] -= f.best[i];
      return std::sqrt(dot(off, off)) > 1.2;
    };
    TrustRegion path(Point(4, -10.0), Point(4, 10.0), f.best, 50.0, 1e-6);
    Point start = f.best;
    start[0] += 1.1;
    path = TrustRegion(Point(4, -10.0), Point(4, 10.0), start, 50.0, 1e-6);
    follow(
        path, [&](const Point& x) { return cliff(x) ? bad : f.score(x); },
        [&](const Point& x) { return cliff(x) ? Point(4, bad) : f.gradient(x); }, 100);
    CHECK(path.best_score() < 1e-6);
    // A gradient alone that is not finite counts as well, at the start too.
    TrustRegion blind = wide_path(4);
    blind.learn(1.0, Point(4, bad));
    CHECK(blind.converged());
    CHECK(blind.best().empty());
  }
}

TEST_CASE("search/trust_region: sizes of scores from 1e-9 to 1e200 neither stop it nor lead outside") {
  for (const double scale : {1e-5, 1.0, 1e9, 1e150, 1e200}) {
    CAPTURE(scale);
    const Quadratic f(3, 5.0, 4);
    TrustRegion path = wide_path(3);
    follow(
        path, [&](const Point& x) { return scale * f.score(x); },
        [&](const Point& x) {
          Point out = f.gradient(x);
          for (double& g : out) g *= scale;
          return out;
        },
        200);
    for (const double x : path.next()) CHECK((x >= -10.0 && x <= 10.0));
    if (scale <= 1e9) CHECK(path.best_score() < 1e-3 * scale * f.score(Point(3, 0.0)));
    if (scale > 1e9) CHECK(path.best_score() <= scale * f.score(Point(3, 0.0)));
  }
}

TEST_CASE("search/trust_region: saddles and ridges do not send it away") {
  // x² - y² within a box: down the ridge to an edge.
  TrustRegion path(Point(2, -1.0), Point(2, 1.0), {0.5, 0.01}, 0.5, 1e-6);
  follow(
      path, [](const Point& x) { return x[0] * x[0] - x[1] * x[1]; },
      [](const Point& x) {
        return Point{2 * x[0], -2 * x[1]};
      },
      60);
  CHECK(path.best_score() < -0.999);
  // Rosenbrock's valley from its usual start.
  TrustRegion valley(Point(2, -3.0), Point(2, 3.0), {-1.2, 1.0}, 0.5, 1e-6);
  const int spent = follow(
      valley, [](const Point& x) { return 100 * std::pow(x[1] - x[0] * x[0], 2) + std::pow(1 - x[0], 2); },
      [](const Point& x) {
        const double bend = x[1] - x[0] * x[0];
        return Point{-400 * bend * x[0] - 2 * (1 - x[0]), 200 * bend};
      },
      120);
  CHECK(valley.best_score() < 1e-6);
  CHECK(spent < 90);
}
