#include "weft/search/minimize.h"

#include <doctest/doctest.h>

#include <limits>
#include <stdexcept>

#include "search/functions.h"
#include "support/error_text.h"

using namespace weft;
using search::Point;
using test::cube;

TEST_CASE("search/minimize: a function of one's own") {
  const auto found = search::minimize([](const Point& x) { return test::sphere(x); }, cube(3, 200), "cma_es");
  CHECK(found.history.size() == 200);
  CHECK(found.history.front().point == Point(3, 0.0));
  CHECK(found.score == test::sphere(found.point));
  CHECK(found.score < 1e-3);
  for (const auto& evaluated : found.history) CHECK(found.score <= evaluated.score);
  CHECK(!found.history.back().phase.empty());
}

TEST_CASE("search/minimize: with gradients") {
  const search::Function function = [](const Point& x, bool gradient) {
    return search::Outcome{test::sphere(x), gradient ? test::sphere_gradient(x) : Point{}};
  };
  CHECK(search::minimize(function, cube(3, 300), "gradient").score < 1e-2);
  const auto plain = [](const Point& x) { return test::sphere(x); };
  CHECK(test::says(test::error_text<UsageError>([&] { search::minimize(plain, cube(3, 300), "gradient"); }),
                   "'gradient' needs gradients"));
  CHECK(search::minimize(plain, cube(3, 300)).score < 1e-2);  // the default does without
}

TEST_CASE("search/minimize: no score, and functions that throw") {
  const auto nothing = [](const Point&) { return std::numeric_limits<double>::quiet_NaN(); };
  const auto found = search::minimize(nothing, cube(2, 10), "cobyla");
  CHECK(found.point == Point(2, 0.0));
  CHECK(found.score == std::numeric_limits<double>::infinity());
  int calls = 0;
  const auto throwing = [&](const Point&) -> double {
    if (++calls == 4) throw std::runtime_error("enough");
    return 1.0 / calls;
  };
  for (const char* method : {"nelder_mead", "lorahub", "cma_es"}) {
    calls = 0;
    CHECK_THROWS_WITH(search::minimize(throwing, cube(3, 40), method), "enough");
  }
}
