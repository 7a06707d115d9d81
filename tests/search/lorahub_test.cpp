// The `lorahub` method against traces of nevergrad 1.0.12 with scipy 1.17.1 (tools/golden/make_search_optimizers.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "io/json.h"
#include "weft/core/value.h"
#include "weft/search/optimizer.h"

using namespace weft;
using search::Point;

namespace {

struct Trace {
  std::string name;
  search::Problem problem;
  std::vector<Point> points;
  std::vector<double> values;
};

double number_at(const Value& value, const std::string& key) { return value.find(key)->number().value(); }

std::vector<double> numbers_in(const Value& list) {
  std::vector<double> out;
  for (const Value& item : list.list) out.push_back(item.number().value());
  return out;
}

std::vector<Trace> traces() {
  const Value file = io::read_json(std::string(WEFT_SOURCE_DIR) + "/tests/golden/search_optimizers/traces.json");
  std::vector<Trace> out;
  for (const Value& entry : file.find("cases")->list) {
    Trace trace;
    trace.name = entry.find("name")->scalar;
    for (const Value& point : entry.find("points")->list) trace.points.push_back(numbers_in(point));
    trace.values = numbers_in(*entry.find("values"));
    const size_t size = trace.points.front().size();
    trace.problem.lower.assign(size, number_at(entry, "lower"));
    trace.problem.upper.assign(size, number_at(entry, "upper"));
    trace.problem.start.assign(size, number_at(entry, "start"));
    trace.problem.budget = static_cast<std::int64_t>(number_at(entry, "budget"));
    out.push_back(std::move(trace));
  }
  return out;
}

double distance(const Point& a, const Point& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

}  // namespace

TEST_CASE("search/lorahub: looks where nevergrad's NGOpt looks") {
  for (const Trace& trace : traces()) {
    CAPTURE(trace.name);
    const auto optimizer = search::make_optimizer("lorahub", trace.problem);
    double worst = 0;
    for (size_t k = 0; k < trace.points.size(); ++k) {
      CAPTURE(k);
      const search::Question question = optimizer->ask();
      REQUIRE(question.points.size() == 1);
      const double gap = distance(question.points[0], trace.points[k]);
      worst = std::max(worst, gap);
      // The pass over the coordinates is sums of halves; later points carry the rounding of an inverse matrix.
      REQUIRE(gap <= (k <= trace.problem.size() ? 1e-15 : 1e-9));
      optimizer->tell({{trace.values[k], {}}});
    }
    CHECK(optimizer->ask().empty());
    CHECK(worst < 1e-9);
  }
}
