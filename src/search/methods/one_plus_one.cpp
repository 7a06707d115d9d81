// (1+1)-ES with the 1/5 rule: one point at a time, the step grows with success.
#include <cmath>
#include <limits>

#include "search/methods/methods.h"
#include "search/stream.h"

namespace weft::search {

namespace {

class OnePlusOne : public Engine {
 public:
  OnePlusOne(const Problem& box, double step)
      : box_(box), width_(widths(box)), best_(box.start), step_(step), stream_(box.seed, "one_plus_one") {}

  Question propose(std::int64_t) override {
    if (!started_) return {{box_.start}, false, "start"};
    Point point(best_.size());
    for (size_t i = 0; i < point.size(); ++i) {
      point[i] = fold(best_[i] + step_ * width_[i] * stream_.normal(), box_.lower[i], box_.upper[i]);
    }
    return {{std::move(point)}, false, "mutation"};
  }

  void learn(const std::vector<Point>& points, const std::vector<Outcome>& outcomes) override {
    const bool better = outcomes[0].score <= score_ && std::isfinite(outcomes[0].score);
    if (better) best_ = points[0], score_ = outcomes[0].score;
    if (started_) {
      // In balance when one mutation of five is better.
      const double damping = 1 + static_cast<double>(best_.size()) / 2;
      step_ = std::min(1.0, step_ * std::exp(((better ? 1.0 : 0.0) - 0.2) / (0.8 * damping)));
    }
    started_ = true;
  }

 private:
  const Problem box_;
  const Point width_;
  Point best_;
  double step_, score_ = std::numeric_limits<double>::infinity();
  Stream stream_;
  bool started_ = false;
};

}  // namespace

std::unique_ptr<Engine> make_one_plus_one(const Problem& box, const OptimizerOptions& options) {
  return std::make_unique<OnePlusOne>(box, options.step > 0 ? options.step : 1.0 / 6);
}

}  // namespace weft::search
