// Known optima within stated numbers of evaluations. The bounds are about 1.5 times what was measured over ten seeds.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "search/functions.h"

using namespace weft;
using search::Point;
using search::Problem;
using test::cube;

namespace {

/// Evaluations to the goal for five seeds, sorted; one more than the budget counts where it was not reached.
std::vector<std::int64_t> evaluations(const char* method, Problem problem, const test::Function& function, double goal,
                                      const search::OptimizerOptions& options = {}) {
  std::vector<std::int64_t> out;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    problem.seed = seed;
    const std::int64_t found = test::run(method, problem, function, options).evaluations_to(goal);
    out.push_back(found < 0 ? problem.budget + 1 : found);
  }
  std::sort(out.begin(), out.end());
  return out;
}

struct Bound {
  const char* method;
  std::int64_t sphere, ellipsoid, rosenbrock;
};

}  // namespace

TEST_CASE("search/benchmarks: CMA-ES reaches 1e-9 in ten dimensions") {
  for (const Bound& bound : {Bound{"cma_es", 2000, 7000, 8000}, Bound{"active_cma_es", 2000, 5000, 7000},
                             Bound{"sep_cma_es", 2000, 4000, 0}}) {
    CAPTURE(std::string(bound.method));
    const auto spheres = evaluations(bound.method, cube(10, bound.sphere), test::sphere, 1e-9);
    const auto ellipsoids = evaluations(bound.method, cube(10, bound.ellipsoid), test::ellipsoid, 1e-9);
    CHECK(spheres.back() <= bound.sphere);
    CHECK(ellipsoids.back() <= bound.ellipsoid);
    if (bound.rosenbrock == 0) continue;  // a diagonal matrix does not learn a bent valley
    const auto valleys = evaluations(bound.method, cube(10, bound.rosenbrock, -2, 2), test::rosenbrock, 1e-9);
    CHECK(valleys[2] <= bound.rosenbrock);  // there is a second valley, near -1, 1, 1, …
  }
}

TEST_CASE("search/benchmarks: restarts with larger populations find the best of Rastrigin's minima") {
  const auto found = evaluations("cma_es", cube(5, 100000, -3, 3, 2), test::rastrigin, 1e-8);
  CHECK(found.back() <= 100000);
}

TEST_CASE("search/benchmarks: the others on the sphere") {
  struct Goal {
    const char* method;
    double goal;
    std::int64_t most;
  };
  for (const Goal& g :
       {Goal{"one_plus_one", 1e-6, 900}, Goal{"differential_evolution", 1e-2, 1500}, Goal{"particle_swarm", 1e-2, 1500},
        Goal{"cobyla", 1e-6, 300}, Goal{"bobyqa", 1e-9, 60}, Goal{"nelder_mead", 1e-6, 900}, Goal{"sbplx", 1e-6, 900},
        Goal{"lorahub", 1e-3, 200}, Goal{"gradient", 1e-3, 300}, Goal{"screened", 1e-4, 900}}) {
    CAPTURE(std::string(g.method));
    const auto found = evaluations(g.method, cube(8, g.most), test::sphere, g.goal);
    CHECK(found.back() <= g.most);
  }
}

TEST_CASE("search/benchmarks: the best point at a corner or an edge of the box") {
  const auto far = [](const Point& x) {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += (x[i] - (i % 2 ? 0.3 : 4.0)) * (x[i] - (i % 2 ? 0.3 : 4.0));
    return sum;
  };
  Point best(6, 1.5);
  for (size_t i = 1; i < 6; i += 2) best[i] = 0.3;
  for (const char* method : {"cma_es", "active_cma_es", "sep_cma_es"}) {
    CAPTURE(std::string(method));
    const auto found = evaluations(method, cube(6, 3500), far, far(best) + 1e-6);
    CHECK(found.back() <= 3500);
  }
}

TEST_CASE("search/benchmarks: screening finds a pair among many") {
  // Two of thirteen ingredients matter, and only together do they help much.
  const auto pair = [](const Point& x) {
    double others = 0;
    for (size_t i = 0; i < x.size(); ++i) others += i == 4 || i == 9 ? 0 : x[i] * x[i];
    return 2 - x[4] - x[9] - 2 * x[4] * x[9] + x[4] * x[4] + x[9] * x[9] + others;
  };
  const test::Run run = test::run("screened", cube(13, 200), pair);
  CHECK(run.questions[0].phase == "singles");
  CHECK(run.questions[0].points.size() == 14);
  CHECK(run.questions[1].phase == "pairs");
  CHECK(run.questions[1].points.size() == 78);
  Point both(13, 0.0);
  both[4] = both[9] = 1;
  CHECK(run.questions[1].points[0] == both);
  CHECK(run.cost == 200);
  CHECK(run.best < pair(both) - 1e-3);
}

TEST_CASE("search/benchmarks: screening leaves half of any budget for what follows") {
  for (const std::int64_t budget : {1, 2, 5, 10, 40, 60, 500}) {
    CAPTURE(budget);
    const test::Run run = test::run("screened", cube(30, budget), test::sphere);
    CHECK(run.cost == budget);
    CHECK(static_cast<std::int64_t>(run.questions[0].points.size()) <= std::max<std::int64_t>(1, budget / 2));
    if (run.questions.size() > 1 && run.questions[1].phase == "pairs") {
      const auto left = budget - static_cast<std::int64_t>(run.questions[0].points.size());
      CHECK(static_cast<std::int64_t>(run.questions[1].points.size()) <= left / 2);
    }
  }
}
