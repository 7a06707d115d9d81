// What holds for every row of the table.
#include <doctest/doctest.h>

#include <limits>
#include <set>
#include <string>

#include "search/functions.h"
#include "support/error_text.h"

using namespace weft;
using search::Point;
using search::Problem;
using test::cube;
using test::error_text;
using test::says;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

bool inside(const Problem& problem, const Point& point) {
  if (point.size() != problem.size()) return false;
  for (size_t i = 0; i < point.size(); ++i) {
    if (!(point[i] >= problem.lower[i] && point[i] <= problem.upper[i])) return false;
  }
  return true;
}

void check_run(const Problem& problem, const test::Run& run) {
  CHECK(run.cost <= static_cast<double>(problem.budget) + 1e-6);
  CHECK(!run.points.empty());
  for (const Point& point : run.points) REQUIRE(inside(problem, point));
}

bool takes(const search::Method& method, size_t size) { return method.name != "bobyqa" || size >= 2; }

}  // namespace

TEST_CASE("search/methods: each improves on the start, in the box, within the budget, and again the same") {
  for (const search::Method& method : search::methods()) {
    CAPTURE(method.name);
    CHECK(!method.doc.empty());
    for (const std::uint64_t seed : {0, 1}) {
      Problem problem = cube(6, 120);
      problem.seed = seed;
      const test::Run run = test::run(method.name, problem, test::sphere);
      check_run(problem, run);
      CHECK(run.points.front() == problem.start);
      CHECK(run.best < test::sphere(problem.start));
      CHECK(test::run(method.name, problem, test::sphere).points == run.points);
    }
  }
}

TEST_CASE("search/methods: random ones depend on the seed") {
  for (const char* name : {"cma_es", "sep_cma_es", "active_cma_es", "one_plus_one", "differential_evolution",
                           "particle_swarm", "random", "quasi_random"}) {
    CAPTURE(std::string(name));
    Problem problem = cube(4, 60);
    const test::Run one = test::run(name, problem, test::sphere);
    problem.seed = 1;
    CHECK(test::run(name, problem, test::sphere).points != one.points);
  }
}

TEST_CASE("search/methods: small budgets, few dimensions and fixed coordinates") {
  for (const search::Method& method : search::methods()) {
    CAPTURE(method.name);
    for (const size_t size : {1, 2, 5}) {
      if (!takes(method, size)) continue;
      for (const std::int64_t budget : {1, 2, 3, 5, 7, 40}) {
        CAPTURE(size);
        CAPTURE(budget);
        check_run(cube(size, budget), test::run(method.name, cube(size, budget), test::sphere));
      }
    }
    // Only two of five move.
    Problem some = cube(5, 60);
    for (const size_t i : {0, 2, 3}) some.lower[i] = some.upper[i] = some.start[i] = some.origin[i] = 0.25;
    for (Point& single : some.singles) single[0] = single[2] = single[3] = 0.25;
    const test::Run run = test::run(method.name, some, test::sphere);
    check_run(some, run);
    CHECK(run.best < test::sphere(some.start));
    // Nothing moves: one look at the start.
    Problem none = cube(3, 10, 0.5, 0.5, 0.5);
    CHECK(test::run(method.name, none, test::sphere).points == std::vector<Point>{none.start});
  }
}

TEST_CASE("search/methods: told the same again, a fresh optimizer asks the same, whatever was told") {
  for (const search::Method& method : search::methods()) {
    CAPTURE(method.name);
    const Problem problem = cube(5, 80);
    const auto noisy = [n = 0](const Point& x) mutable { return test::sphere(x) + 0.1 * ((n++ * 7919) % 13); };
    const test::Run run = test::run(method.name, problem, noisy);
    size_t at = 0;
    const auto again = test::run(method.name, problem, [&](const Point&) { return run.scores[at++]; });
    CHECK(again.points == run.points);
    REQUIRE(again.questions.size() == run.questions.size());
    for (size_t k = 0; k < run.questions.size(); ++k) CHECK(again.questions[k].phase == run.questions[k].phase);
  }
}

TEST_CASE("search/methods: scores that are no numbers are worse than all and spoil nothing") {
  for (const search::Method& method : search::methods()) {
    CAPTURE(method.name);
    const Problem problem = cube(4, 150);
    for (const double bad : {kNaN, kInf, -kInf}) {
      // Half of the box is bad; the best point is in the other half.
      const auto half = [&](const Point& x) { return x[1] > 0.2 ? bad : test::sphere(x); };
      const test::Run run = test::run(method.name, problem, half);
      check_run(problem, run);
      double best = kInf;
      for (const double score : run.scores) best = std::isfinite(score) ? std::min(best, score) : best;
      CHECK(best < test::sphere(problem.start));
      check_run(problem, test::run(method.name, problem, [&](const Point&) { return bad; }));
    }
    // All the same: nothing to learn, nothing to divide by.
    check_run(problem, test::run(method.name, problem, [](const Point&) { return 1.0; }));
    check_run(problem, test::run(method.name, problem, [](const Point& x) { return 1e300 * (x[0] - x[1]); }));
  }
}

TEST_CASE("search/methods: ask and tell take turns") {
  const Problem problem = cube(3, 20);
  const auto optimizer = search::make_optimizer("cma_es", problem);
  CHECK(says(error_text<UsageError>([&] { optimizer->tell({}); }), "without a question"));
  const search::Question question = optimizer->ask();
  CHECK(optimizer->ask().points == question.points);
  CHECK(says(error_text<UsageError>([&] { optimizer->tell({{1.0, {}}}); }), "1 outcomes were told for"));
  const auto gradient = search::make_optimizer("gradient", problem);
  CHECK(gradient->ask().gradients);
  CHECK(says(error_text<UsageError>([&] { gradient->tell({{1.0, {0.5}}}); }), "a gradient of 3 numbers"));
}

TEST_CASE("search/methods: optimizers can be dropped at any time") {
  for (const search::Method& method : search::methods()) {
    CAPTURE(method.name);
    const Problem problem = cube(4, 60);
    for (const int answers : {0, 1, 2, 9}) {
      const auto optimizer = search::make_optimizer(method.name, problem);
      for (int k = 0; k < answers; ++k) {
        const search::Question question = optimizer->ask();
        if (k + 1 == answers || question.empty()) break;  // leaves with a question open
        std::vector<search::Outcome> outcomes;
        for (const Point& point : question.points)
          outcomes.push_back({test::sphere(point), test::sphere_gradient(point)});
        optimizer->tell(outcomes);
      }
    }
  }
}

TEST_CASE("search/methods: wrong problems and options are refused") {
  const auto wrong = [](Problem problem) {
    return error_text<UsageError>([&] { search::make_optimizer("cma_es", problem); });
  };
  const auto with = [](auto&& change) {
    Problem problem = cube(3, 20);
    change(problem);
    return problem;
  };
  CHECK(says(wrong({}), "no coordinates"));
  CHECK(says(wrong(with([](Problem& p) { p.upper.pop_back(); })), "3 lower and 2 upper"));
  CHECK(says(wrong(with([](Problem& p) { p.lower[1] = 2; })), "coordinate 1 are crossed: 2 > 1.5"));
  CHECK(says(wrong(with([](Problem& p) { p.lower[1] = kNaN; })), "expected finite"));
  CHECK(says(wrong(with([](Problem& p) { p.upper[2] = kInf; })), "expected finite"));
  CHECK(says(wrong(with([](Problem& p) { p.lower[0] = -1e308, p.upper[0] = 1e308; })), "expected finite"));
  CHECK(says(wrong(with([](Problem& p) { p.start[2] = 1.6; })), "coordinate 2 of the start is 1.6"));
  CHECK(says(wrong(with([](Problem& p) { p.start[2] = kNaN; })), "coordinate 2 of the start is nan"));
  CHECK(says(wrong(with([](Problem& p) { p.start.pop_back(); })), "the start has 2 coordinates"));
  CHECK(says(wrong(with([](Problem& p) { p.origin[0] = 9; })), "of the origin is 9"));
  CHECK(says(wrong(with([](Problem& p) { p.singles[1][0] = 9; })), "of single 1 is 9"));
  CHECK(says(wrong(with([](Problem& p) { p.budget = 0; })), "the budget is 0"));
  CHECK(says(wrong(with([](Problem& p) { p.gradient_cost = 0; })), "gradient costs 0"));
  const auto option = [](const char* method, const search::OptimizerOptions& options) {
    return error_text<UsageError>([&] { search::make_optimizer(method, cube(3, 20), options); });
  };
  CHECK(says(option("cma_es", {-1, 0, 0}), "a population of -1"));
  CHECK(says(option("cma_es", {1, 0, 0}), "cma_es needs a population of at least 2, not 1"));
  CHECK(says(option("differential_evolution", {3, 0, 0}), "at least 4"));
  CHECK(says(option("cma_es", {0, kNaN, 0}), "first step is nan"));
  CHECK(says(option("cma_es", {0, 1.5, 0}), "first step is 1.5"));
  CHECK(says(option("gradient", {0, 0, kInf}), "learning rate is inf"));
  CHECK(says(option("cma", {}), "unknown search method 'cma'"));
  CHECK(says(option("cobila", {}), "did you mean 'cobyla'?"));
  CHECK(says(error_text<UsageError>([] { search::make_optimizer("bobyqa", cube(1, 20)); }), "at least two weights"));
  Problem wide = cube(1, 20);
  wide.singles.clear();
  for (Point* point : {&wide.lower, &wide.upper, &wide.start, &wide.origin}) point->resize(5000, point->front());
  CHECK(says(error_text<UsageError>([&] { search::make_optimizer("cma_es", wide); }), "use sep_cma_es"));
  CHECK(test::run("sep_cma_es", wide, test::sphere).cost == 20);
  Problem bare = cube(3, 20);
  bare.singles.clear();
  CHECK(says(error_text<UsageError>([&] { search::make_optimizer("screened", bare); }), "one ingredient alone"));
  bare.gradients = false;
  CHECK(says(error_text<UsageError>([&] { search::make_optimizer("gradient", bare); }), "there are none"));
  CHECK(test::run("auto", bare, test::sphere).best < test::sphere(bare.start));
}

TEST_CASE("search/methods: options reach the methods") {
  Problem problem = cube(5, 200);
  CHECK(test::run("cma_es", problem, test::sphere, {20, 0, 0}).questions[1].points.size() == 20);
  CHECK(test::run("random", problem, test::sphere, {200, 0, 0}).questions.size() == 1);
  const test::Run small = test::run("one_plus_one", problem, test::sphere, {0, 1e-6, 0});
  CHECK(std::abs(small.points[1][0]) < 1e-4);
  const test::Run adam = test::run("gradient", problem, test::sphere, {0, 0, 0.01});
  CHECK(adam.points[1][0] == doctest::Approx(0.01).epsilon(1e-6));  // the first step of Adam is the rate
}
