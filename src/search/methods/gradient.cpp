// Adam (Kingma and Ba 2015) on the weights themselves, kept in the box: for comparison with the methods that only look
// at scores.
#include <algorithm>
#include <cmath>
#include <limits>

#include "search/methods/methods.h"

namespace weft::search {

namespace {

class GradientSteps : public Engine {
 public:
  GradientSteps(const Problem& box, double rate)
      : box_(box), rate_(rate), place_(box.start), first_(box.size(), 0.0), second_(box.size(), 0.0) {}

  Question propose(std::int64_t left) override {
    if (ended_) return {};
    // The last evaluation only scores where the last step led.
    const bool gradients = left > box_.gradient_cost;
    if (!gradients) ended_ = true;
    if (gradients) return {{place_}, true, "gradient"};
    return {{place_}, false, "last point"};
  }

  void learn(const std::vector<Point>& points, const std::vector<Outcome>& outcomes) override {
    if (ended_) return;
    const Outcome& outcome = outcomes[0];
    const bool usable = std::isfinite(outcome.score) && std::all_of(outcome.gradient.begin(), outcome.gradient.end(),
                                                                    [](double g) { return std::isfinite(g); });
    if (!usable) {
      retreat();
      return;
    }
    if (outcome.score < score_) best_ = points[0], score_ = outcome.score;
    step(points[0], outcome.gradient);
  }

 private:
  /// Half as fast from the best point again; without one there is nowhere to go.
  void retreat() {
    if (best_.empty()) {
      ended_ = true;
      return;
    }
    place_ = best_;
    rate_ *= 0.5;
    steps_ = 0;
    std::fill(first_.begin(), first_.end(), 0.0);
    std::fill(second_.begin(), second_.end(), 0.0);
  }

  void step(const Point& from, const Point& gradient) {
    constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
    ++steps_;
    const double correct1 = 1 - std::pow(kBeta1, steps_), correct2 = 1 - std::pow(kBeta2, steps_);
    for (size_t i = 0; i < gradient.size(); ++i) {
      first_[i] = kBeta1 * first_[i] + (1 - kBeta1) * gradient[i];
      second_[i] = kBeta2 * second_[i] + (1 - kBeta2) * gradient[i] * gradient[i];
      const double move = rate_ * (first_[i] / correct1) / (std::sqrt(second_[i] / correct2) + kEpsilon);
      place_[i] = std::clamp(from[i] - move, box_.lower[i], box_.upper[i]);
    }
  }

  const Problem box_;
  double rate_, score_ = std::numeric_limits<double>::infinity();
  Point place_, best_, first_, second_;
  int steps_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Engine> make_gradient(const Problem& box, const OptimizerOptions& options) {
  return std::make_unique<GradientSteps>(box, options.learning_rate > 0 ? options.learning_rate : 0.1);
}

}  // namespace weft::search
