#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "weft/search/optimizer.h"

namespace weft::test {

using Function = std::function<double(const search::Point&)>;

/// A box of the same bounds in each coordinate, with the start everywhere the same; singles of 1 where they fit.
inline search::Problem cube(size_t size, std::int64_t budget, double lower = -1.5, double upper = 1.5,
                            double start = 0) {
  search::Problem problem;
  problem.lower.assign(size, lower);
  problem.upper.assign(size, upper);
  problem.start.assign(size, start);
  problem.budget = budget;
  problem.origin.assign(size, std::clamp(0.0, lower, upper));
  for (size_t i = 0; i < size; ++i) {
    problem.singles.push_back(problem.origin);
    problem.singles.back()[i] = std::clamp(1.0, lower, upper);
  }
  return problem;
}

/// Best point at 0.7, -0.4, 0.1, 0.7, …
inline double target(size_t i) { return i % 3 == 0 ? 0.7 : i % 3 == 1 ? -0.4 : 0.1; }

inline double sphere(const search::Point& x) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += (x[i] - target(i)) * (x[i] - target(i));
  return sum;
}

/// Axes of lengths 1 to 1000.
inline double ellipsoid(const search::Point& x) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double share = x.size() > 1 ? static_cast<double>(i) / static_cast<double>(x.size() - 1) : 0;
    sum += std::pow(1e6, share) * (x[i] - target(i)) * (x[i] - target(i));
  }
  return sum;
}

/// Best point at 1, 1, …: a bent valley.
inline double rosenbrock(const search::Point& x) {
  double sum = 0;
  for (size_t i = 0; i + 1 < x.size(); ++i) {
    const double bend = x[i + 1] - x[i] * x[i];
    sum += 100 * bend * bend + (1 - x[i]) * (1 - x[i]);
  }
  return sum;
}

/// Best point at 0 among many local ones.
inline double rastrigin(const search::Point& x) {
  double sum = 0;
  for (const double v : x) sum += v * v + 10 * (1 - std::cos(2 * std::numbers::pi * v));
  return sum;
}

inline search::Point sphere_gradient(const search::Point& x) {
  search::Point gradient(x);
  for (size_t i = 0; i < x.size(); ++i) gradient[i] = 2 * (x[i] - target(i));
  return gradient;
}

/// What happened in a search.
struct Run {
  std::vector<search::Question> questions;
  std::vector<search::Point> points;
  std::vector<double> scores;
  double cost = 0;
  double best = std::numeric_limits<double>::infinity();
  /// Evaluations until a score of at most `goal`; -1: never.
  std::int64_t evaluations_to(double goal) const {
    for (size_t k = 0; k < scores.size(); ++k) {
      if (scores[k] <= goal) return static_cast<std::int64_t>(k) + 1;
    }
    return -1;
  }
};

/// Answers all questions. Gradients are the sphere's.
inline Run run(search::Optimizer& optimizer, const search::Problem& problem, const Function& function) {
  Run out;
  for (search::Question question = optimizer.ask(); !question.empty(); question = optimizer.ask()) {
    out.cost += question.cost(problem);
    std::vector<search::Outcome> outcomes;
    for (const search::Point& point : question.points) {
      outcomes.push_back({function(point), question.gradients ? sphere_gradient(point) : search::Point{}});
      out.points.push_back(point);
      out.scores.push_back(outcomes.back().score);
      if (outcomes.back().score < out.best) out.best = outcomes.back().score;
    }
    out.questions.push_back(question);
    optimizer.tell(outcomes);
  }
  return out;
}

inline Run run(const std::string& method, const search::Problem& problem, const Function& function,
               const search::OptimizerOptions& options = {}) {
  return run(*search::make_optimizer(method, problem, options), problem, function);
}

}  // namespace weft::test
