// What method `auto` does where there are gradients: a few-shot problem whose examples can be had in parts.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "weft/search/optimizer.h"

namespace {

using weft::search::Outcome;
using weft::search::Part;
using weft::search::Point;
using weft::search::Problem;
using weft::search::Question;

/// Binary labels whose log odds are a weighted sum of what each ingredient says, and a little of the base's.
struct FewShot {
  size_t ingredients;
  Point truth;
  std::vector<Point> seen, unseen;  // what the ingredients say of an example, times ±1 for its label

  FewShot(size_t count, size_t examples, const Point& weights, unsigned seed) : ingredients(count), truth(weights) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    const auto draw = [&](size_t many) {
      std::vector<Point> out;
      for (size_t e = 0; e < many; ++e) {
        Point says(count);
        double odds = 0;
        for (size_t k = 0; k < count; ++k) says[k] = 2.0 * normal(random), odds += truth[k] * says[k];
        const double sign = uniform(random) < 1.0 / (1.0 + std::exp(-odds)) ? 1.0 : -1.0;
        for (double& x : says) x *= sign;
        out.push_back(says);
      }
      return out;
    };
    seen = draw(examples);
    unseen = draw(1000);
  }

  static Outcome loss(const std::vector<Point>& examples, const Point& weights, const Part& part, bool gradient) {
    Outcome out;
    if (gradient) out.gradient.assign(weights.size(), 0.0);
    size_t count = 0;
    for (size_t e = 0; e < examples.size(); ++e) {
      const bool member = part.folds > 0 && static_cast<int>(e % static_cast<size_t>(part.folds)) == part.fold;
      if (part.folds > 0 && member != part.only) continue;
      ++count;
      double odds = 0;
      for (size_t k = 0; k < weights.size(); ++k) odds += weights[k] * examples[e][k];
      out.score += odds > 0 ? std::log1p(std::exp(-odds)) : -odds + std::log1p(std::exp(odds));
      for (size_t k = 0; gradient && k < weights.size(); ++k)
        out.gradient[k] -= examples[e][k] / (1.0 + std::exp(odds));
    }
    out.score /= static_cast<double>(count);
    for (double& g : out.gradient) g /= static_cast<double>(count);
    return out;
  }
  double on_unseen(const Point& weights) const { return loss(unseen, weights, {}, false).score; }

  Problem problem(std::int64_t budget) const {
    Problem out;
    out.lower.assign(ingredients, -1.5), out.upper.assign(ingredients, 1.5);
    out.start.assign(ingredients, 0.0), out.origin = out.start;
    for (size_t k = 0; k < ingredients; ++k) {
      out.singles.emplace_back(ingredients, 0.0);
      out.singles.back()[k] = 1.0;
    }
    out.budget = budget;
    out.folds = static_cast<int>(seen.size());
    out.observations = static_cast<double>(seen.size());
    return out;
  }
};

struct Course {
  Point found;
  double cost = 0;
  std::map<std::string, int> phases;  // questions
  bool partial_scores_were_asked_outside_folds = false;
};

/// Runs `auto`; what it recommends, else the best of all examples.
Course run_auto(const FewShot& task, const Problem& problem) {
  Course out;
  const auto optimizer = weft::search::make_optimizer("auto", problem);
  double best = std::numeric_limits<double>::infinity();
  for (Question question = optimizer->ask(); !question.empty(); question = optimizer->ask()) {
    std::vector<Outcome> outcomes;
    if (question.part.folds > problem.folds || question.part.fold >= std::max(1, question.part.folds))
      out.partial_scores_were_asked_outside_folds = true;
    for (const Point& point : question.points) {
      outcomes.push_back(FewShot::loss(task.seen, point, question.part, question.gradients));
      if (question.part.folds == 0 && outcomes.back().score < best) best = outcomes.back().score, out.found = point;
    }
    out.cost += question.cost(problem);
    ++out.phases[question.phase];
    optimizer->tell(outcomes);
  }
  if (const auto recommended = optimizer->recommendation()) out.found = *recommended;
  return out;
}

/// The rival: nothing, or equal weights that sum to 1 or 3, whichever does best on the examples.
Point scaled_sum(const FewShot& task) {
  Point out;
  double best = std::numeric_limits<double>::infinity();
  for (const double total : {0.0, 1.0, 3.0}) {
    const Point tried(task.ingredients, total / static_cast<double>(task.ingredients));
    const double score = FewShot::loss(task.seen, tried, {}, false).score;
    if (score < best) best = score, out = tried;
  }
  return out;
}

Point drawn_truth(const std::string& kind, size_t count, unsigned seed) {
  std::mt19937 random(seed + 1000);
  std::normal_distribution<double> normal;
  Point out(count, 0.0);
  for (size_t k = 0; k < count; ++k) {
    if (kind == "pair") out[k] = k < 2 ? 1.0 : 0.0;
    if (kind == "all") out[k] = 3.0 / static_cast<double>(count);
    if (kind == "spread") out[k] = 3.0 / static_cast<double>(count) + 0.3 * normal(random);
    if (kind == "nothing") out[k] = 0.0;
  }
  return out;
}

}  // namespace

TEST_CASE("search/auto: stays within every budget and asks for parts only where there are examples for them") {
  const FewShot task(6, 10, drawn_truth("pair", 6, 0), 0);
  for (std::int64_t budget = 1; budget <= 230; budget = budget < 80 ? budget + 1 : budget + 7) {
    CAPTURE(budget);
    for (const int folds : {0, 1, 2, 3, 10}) {
      Problem problem = task.problem(budget);
      problem.folds = folds;
      const Course course = run_auto(task, problem);
      CHECK(course.cost <= static_cast<double>(budget) + 1e-6);
      CHECK(!course.found.empty());
      CHECK_FALSE(course.partial_scores_were_asked_outside_folds);
      if (folds < 2) CHECK(course.phases.count("part") == 0);
      CHECK(task.on_unseen(course.found) < 5.0);
    }
  }
}

TEST_CASE("search/auto: large budgets go into parts, shrinking and an average") {
  const FewShot task(6, 12, drawn_truth("pair", 6, 0), 0);
  const Course course = run_auto(task, task.problem(200));
  for (const char* phase : {"scales", "part", "shrink"}) {
    CAPTURE(std::string(phase));
    CHECK(course.phases.count(phase) == 1);
  }
  CHECK(course.phases.at("shrink") >= 2);
  // Again the same.
  CHECK(run_auto(task, task.problem(200)).found == course.found);
}

// Twelve ingredients that have nothing in common are as hard as pools get. Where equal weights are not the truth, a
// search does no worse than these on average; of 8 and 16 labels a long one learns some noise. Where equal weights or
// none are the truth, nothing can be won, and not much more than a coin's ln 2 may be lost.
TEST_CASE("search/auto: from few examples, no worse than the scaled sum on unseen ones on average") {
  constexpr unsigned kDraws = 30;
  for (const std::int64_t budget : {30, 200})
    for (const size_t examples : {size_t{8}, size_t{16}, size_t{64}}) {
      std::map<std::string, double> gain, own;
      for (const char* kind : {"pair", "spread", "all", "nothing"})
        for (unsigned seed = 0; seed < kDraws; ++seed) {
          const FewShot task(12, examples, drawn_truth(kind, 12, seed), seed);
          const double found = task.on_unseen(run_auto(task, task.problem(budget)).found);
          own[kind] += found / kDraws;
          gain[kind] += (task.on_unseen(scaled_sum(task)) - found) / kDraws;
        }
      CAPTURE(budget);
      CAPTURE(examples);
      const double noise = budget > 100 && examples < 32 ? 0.05 : 0.0;
      CHECK(0.5 * (gain["pair"] + gain["spread"]) > -noise);
      CHECK(own["all"] < 0.8);
      CHECK(own["nothing"] < 1.2);
    }
}

TEST_CASE("search/auto: scores that are not finite end in something finite") {
  const FewShot task(5, 10, drawn_truth("pair", 5, 0), 0);
  for (const std::int64_t budget : {10, 40, 100, 200})
    for (const double limit : {0.05, 0.5, 1.2}) {
      CAPTURE(budget);
      const Problem problem = task.problem(budget);
      const auto optimizer = weft::search::make_optimizer("auto", problem);
      double cost = 0, best = std::numeric_limits<double>::infinity();
      for (Question question = optimizer->ask(); !question.empty(); question = optimizer->ask()) {
        std::vector<Outcome> outcomes;
        for (const Point& point : question.points) {
          outcomes.push_back(FewShot::loss(task.seen, point, question.part, question.gradients));
          double size = 0;
          for (const double x : point) size = std::max(size, std::fabs(x));
          if (size > limit) {
            outcomes.back().score = std::nan("");
            std::fill(outcomes.back().gradient.begin(), outcomes.back().gradient.end(), std::nan(""));
          } else if (question.part.folds == 0) {
            best = std::min(best, outcomes.back().score);
          }
        }
        cost += question.cost(problem);
        optimizer->tell(outcomes);
      }
      CHECK(cost <= static_cast<double>(budget) + 1e-6);
      CHECK(best < 1.0);
      if (const auto point = optimizer->recommendation()) {
        double size = 0;
        for (const double x : *point) size = std::max(size, std::fabs(x));
        CHECK(size <= limit);
      }
    }
}
