#include "weft/search/minimize.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <optional>
#include <utility>

namespace weft::search {

namespace {

Minimum minimize_within(const Function& function, const Problem& problem, std::string_view method,
                        const OptimizerOptions& options) {
  const auto optimizer = make_optimizer(method, problem, options);
  Minimum found;
  found.point = problem.start;
  found.score = std::numeric_limits<double>::infinity();
  for (Question question = optimizer->ask(); !question.empty(); question = optimizer->ask()) {
    std::vector<Outcome> outcomes;
    for (Point& point : question.points) {
      outcomes.push_back(function(point, question.gradients));
      const double score = outcomes.back().score;
      if (std::isfinite(score) && score < found.score) found.point = point, found.score = score;
      found.history.push_back({std::move(point), score, question.phase});
    }
    optimizer->tell(outcomes);
  }
  const std::optional<Point> preferred = optimizer->recommendation();
  for (const Evaluated& evaluated : found.history) {
    if (evaluated.point == preferred && std::isfinite(evaluated.score)) {
      found.point = evaluated.point;
      found.score = evaluated.score;
      break;
    }
  }
  return found;
}

}  // namespace

Minimum minimize(const Function& function, const Problem& problem, std::string_view method,
                 const OptimizerOptions& options) {
  Problem whole = problem;
  whole.folds = 0;  // a function of one's own has no parts
  return minimize_within(function, whole, method, options);
}

Minimum minimize(const std::function<double(const Point&)>& function, const Problem& problem, std::string_view method,
                 const OptimizerOptions& options) {
  if (find_method(method).gradients) {
    throw UsageError(fmt::format("search method '{}' needs gradients, and the function gives none", method));
  }
  Problem plain = problem;
  plain.gradients = false;
  return minimize([&](const Point& point, bool) { return Outcome{function(point), {}}; }, plain, method, options);
}

}  // namespace weft::search
