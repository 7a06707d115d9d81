// Makes an Optimizer of an Engine: fixed coordinates, budget, edges and bad scores.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "engine.h"

namespace weft::search {

namespace {

std::vector<size_t> moving_of(const Problem& problem) {
  std::vector<size_t> moving;
  for (size_t i = 0; i < problem.size(); ++i) {
    if (problem.lower[i] < problem.upper[i]) moving.push_back(i);
  }
  return moving;
}

Point picked(const Point& point, const std::vector<size_t>& moving) {
  Point out;
  out.reserve(moving.size());
  for (const size_t i : moving) out.push_back(point[i]);
  return out;
}

/// The problem of the coordinates that move.
Problem moving_part(const Problem& problem, const std::vector<size_t>& moving) {
  Problem box = problem;
  box.lower = picked(problem.lower, moving);
  box.upper = picked(problem.upper, moving);
  box.start = picked(problem.start, moving);
  box.origin = picked(problem.origin.empty() ? problem.start : problem.origin, moving);
  for (Point& single : box.singles) single = picked(single, moving);
  return box;
}

/// Asks for the start alone: where nothing moves.
class StartEngine : public Engine {
 public:
  Question propose(std::int64_t) override {
    if (std::exchange(asked_, true)) return {};
    return {{Point{}}, false, "start"};
  }
  void learn(const std::vector<Point>&, const std::vector<Outcome>&) override {}

 private:
  bool asked_ = false;
};

class Driver : public Optimizer {
 public:
  Driver(const Problem& problem, const OptimizerOptions& options, EngineMaker make)
      : problem_(problem),
        moving_(moving_of(problem)),
        box_(moving_part(problem, moving_)),
        left_(static_cast<double>(problem.budget)) {
    if (moving_.empty()) {
      engine_ = std::make_unique<StartEngine>();
    } else {
      engine_ = make(box_, options);
    }
  }

  Question ask() override {
    if (waiting_) return question_;
    if (done_ || left_ < 1e-9) return {};
    Question asked = engine_->propose(static_cast<std::int64_t>(left_ + 1e-9));
    // Shares of evaluations do not add up exactly.
    const auto fitting = static_cast<size_t>(left_ / asked.cost_of_each(problem_) + 1e-9);
    if (asked.points.size() > fitting) asked.points.resize(fitting);
    if (asked.empty()) {
      done_ = true;
      return {};
    }
    left_ -= asked.cost(problem_);
    points_ = std::move(asked.points);
    question_ = {{}, asked.gradients, std::move(asked.phase), asked.part};
    for (Point& point : points_) question_.points.push_back(whole(point));
    waiting_ = true;
    return question_;
  }

  void tell(const std::vector<Outcome>& outcomes) override {
    if (!waiting_) throw UsageError("tell() without a question: call ask() first");
    if (outcomes.size() != points_.size()) {
      throw UsageError(fmt::format("{} outcomes were told for {} points", outcomes.size(), points_.size()));
    }
    std::vector<Outcome> clean;
    clean.reserve(outcomes.size());
    for (const Outcome& outcome : outcomes) clean.push_back(cleaned(outcome));
    waiting_ = false;
    engine_->learn(points_, clean);
  }

  std::optional<Point> recommendation() const override {
    Point point = engine_->recommended();
    if (point.empty()) return std::nullopt;
    return whole(point);
  }

 private:
  /// The point of the problem that one of the engine's stands for; moves the engine's into the box.
  Point whole(Point& point) const {
    Point out = problem_.start;
    for (size_t i = 0; i < moving_.size(); ++i) {
      if (std::isnan(point[i])) point[i] = box_.start[i];
      point[i] = std::clamp(point[i], box_.lower[i], box_.upper[i]);
      out[moving_[i]] = point[i];
    }
    return out;
  }

  Outcome cleaned(const Outcome& outcome) const {
    Outcome out;
    out.score = std::isfinite(outcome.score) ? outcome.score : std::numeric_limits<double>::infinity();
    if (!question_.gradients) return out;
    if (outcome.gradient.size() != problem_.size()) {
      throw UsageError(fmt::format("a gradient of {} numbers was asked for, {} were told", problem_.size(),
                                   outcome.gradient.size()));
    }
    out.gradient = picked(outcome.gradient, moving_);
    return out;
  }

  Problem problem_;
  std::vector<size_t> moving_;
  Problem box_;
  double left_;  // evaluations
  std::unique_ptr<Engine> engine_;
  std::vector<Point> points_;  // of the last question, as the engine sees them
  Question question_;
  bool waiting_ = false, done_ = false;
};

void check_options(const OptimizerOptions& options) {
  if (options.population < 0) throw UsageError(fmt::format("a population of {} is below 0", options.population));
  if (!(options.step >= 0 && options.step <= 1)) {
    throw UsageError(fmt::format("the first step is {}, expected a share of the box's width in [0, 1]", options.step));
  }
  if (!(options.learning_rate >= 0 && std::isfinite(options.learning_rate))) {
    throw UsageError(fmt::format("the learning rate is {}, expected a finite number from 0", options.learning_rate));
  }
}

}  // namespace

std::unique_ptr<Optimizer> drive(const Problem& problem, const OptimizerOptions& options, EngineMaker make) {
  problem.check();
  check_options(options);
  return std::make_unique<Driver>(problem, options, make);
}

}  // namespace weft::search
