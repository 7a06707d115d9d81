// Invariants of the CMA-ES family, and its eigenvalues.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "search/functions.h"
#include "search/stream.h"
#include "search/symmetric.h"

using namespace weft;
using search::Point;
using search::Problem;
using test::cube;

namespace {

/// An orthogonal matrix, row by row.
std::vector<Point> rotation(size_t n, std::uint64_t seed) {
  search::Stream stream(seed, "rotation");
  std::vector<Point> rows;
  while (rows.size() < n) {
    Point row(n);
    for (double& x : row) x = stream.normal();
    for (const Point& other : rows) {
      double along = 0;
      for (size_t i = 0; i < n; ++i) along += row[i] * other[i];
      for (size_t i = 0; i < n; ++i) row[i] -= along * other[i];
    }
    double norm = 0;
    for (const double x : row) norm += x * x;
    for (double& x : row) x /= std::sqrt(norm);
    rows.push_back(row);
  }
  return rows;
}

Point product(const std::vector<Point>& rows, const Point& x) {
  Point out(rows.size(), 0.0);
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = 0; j < x.size(); ++j) out[i] += rows[i][j] * x[j];
  }
  return out;
}

double bowl(const Point& x) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += std::pow(1e4, static_cast<double>(i) / 7) * x[i] * x[i];
  return sum;
}

}  // namespace

TEST_CASE("search/cma: only the order of scores counts") {
  for (const char* method :
       {"cma_es", "active_cma_es", "sep_cma_es", "one_plus_one", "differential_evolution", "particle_swarm"}) {
    CAPTURE(std::string(method));
    const Problem problem = cube(5, 300);
    const auto plain = test::run(method, problem, test::sphere);
    const auto bent = test::run(method, problem, [](const Point& x) { return std::exp(3 * test::sphere(x)) - 7; });
    CHECK(plain.points == bent.points);
  }
}

TEST_CASE("search/cma: the box's place and size do not matter") {
  for (const char* method : {"cma_es", "active_cma_es", "sep_cma_es"}) {
    CAPTURE(std::string(method));
    const auto plain = test::run(method, cube(5, 200), test::sphere);
    const auto moved = test::run(method, cube(5, 200, 5, 17, 11), [](Point x) {
      for (double& v : x) v = (v - 11) / 4;
      return test::sphere(x);
    });
    REQUIRE(moved.points.size() == plain.points.size());
    for (size_t k = 0; k < plain.points.size(); ++k) {
      // Rounding grows a little from generation to generation.
      for (size_t i = 0; i < 5; ++i) CHECK(std::abs((moved.points[k][i] - 11) / 4 - plain.points[k][i]) < 1e-8);
    }
  }
}

TEST_CASE("search/cma: full covariance does not mind rotations, a diagonal one does") {
  const auto median = [](const char* method, bool turned) {
    std::vector<std::int64_t> counts;
    for (std::uint64_t seed = 0; seed < 7; ++seed) {
      // A wide box, so that its edges play no part.
      Problem problem = cube(8, 20000, -30, 30, 5);
      problem.seed = seed;
      const auto turn = rotation(8, seed);
      const auto run =
          test::run(method, problem, [&](const Point& x) { return bowl(turned ? product(turn, x) : x); }, {0, 0.02, 0});
      const std::int64_t found = run.evaluations_to(1e-8);
      counts.push_back(found < 0 ? problem.budget : found);
    }
    std::nth_element(counts.begin(), counts.begin() + 3, counts.end());
    return static_cast<double>(counts[3]);
  };
  for (const char* method : {"cma_es", "active_cma_es"}) {
    const double straight = median(method, false), turned = median(method, true);
    CHECK(turned < 1.25 * straight);
    CHECK(straight < 1.25 * turned);
  }
  CHECK(median("sep_cma_es", true) > 2 * median("sep_cma_es", false));
}

TEST_CASE("search/cma: eigenvalues and eigenvectors of symmetric matrices") {
  for (const size_t n : {1, 2, 3, 10, 60}) {
    CAPTURE(n);
    const auto q = rotation(n, n);
    std::vector<double> values(n), a(n * n, 0.0);
    double largest = 0;
    for (size_t k = 0; k < n; ++k) {
      values[k] = k % 4 == 3 ? values[k - 1] : std::pow(10.0, static_cast<double>(k % 7) - 3);  // some twice
      largest = std::max(largest, values[k]);
    }
    for (size_t k = 0; k < n; ++k) {
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) a[i * n + j] += values[k] * q[k][i] * q[k][j];
      }
    }
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < i; ++j) a[i * n + j] = a[j * n + i];
    }
    const search::Eigen eigen = search::eigen_symmetric(a, n);
    REQUIRE(eigen.converged);
    for (size_t k = 0; k < n; ++k) {
      for (size_t i = 0; i < n; ++i) {
        double image = 0;
        for (size_t j = 0; j < n; ++j) image += a[i * n + j] * eigen.vectors[k * n + j];
        CHECK(std::abs(image - eigen.values[k] * eigen.vectors[k * n + i]) < 1e-13 * largest * static_cast<double>(n));
      }
      for (size_t l = 0; l < n; ++l) {
        double along = 0;
        for (size_t j = 0; j < n; ++j) along += eigen.vectors[k * n + j] * eigen.vectors[l * n + j];
        CHECK(std::abs(along - (k == l ? 1 : 0)) < 1e-13 * static_cast<double>(n));
      }
    }
  }
  // Already diagonal, and zero.
  CHECK(search::eigen_symmetric({2, 0, 0, 3}, 2).values == std::vector<double>{2, 3});
  CHECK(search::eigen_symmetric(std::vector<double>(9, 0.0), 3).converged);
}
