// What LoRAHub runs: nevergrad's NGOpt, which at its size is COBYLA. Coordinates are measured in sixths of the box's
// width from the start, the first simplex has edges of one, points that leave the box are folded back, and a run that
// ends early is followed by one from the best point. The start and the first steps are a greedy pass: each ingredient
// in turn gets a sixth of the box's width (0.5 in LoRAHub's box) and keeps it if that helps. Later, edges
// exactly as long as a limit are common: scipy lets rounding decide them, so its own path differs between machines
// there.
#include <cmath>
#include <limits>
#include <utility>

#include "search/cobyla.h"
#include "search/methods/methods.h"

namespace weft::search {

namespace {

constexpr double kSharesOfWidth = 6;
constexpr double kLorahubWorst = 5e20;  // what nevergrad makes of scores above it

class Lorahub : public Engine {
 public:
  Lorahub(const Problem& box, double edge)
      : box_(box), width_(widths(box)), edge_(edge), talk_([this](const Conversation::Evaluate& e) { search(e); }) {}

  Question propose(std::int64_t) override {
    const std::optional<Point> place = talk_.next();
    if (!place) return {};
    Point point(box_.start);
    for (size_t i = 0; i < point.size(); ++i) {
      point[i] = folded(point[i] + width_[i] / kSharesOfWidth * (*place)[i], box_.lower[i], box_.upper[i]);
    }
    return {{std::move(point)}, false, "cobyla"};
  }

  void learn(const std::vector<Point>&, const std::vector<Outcome>& outcomes) override {
    talk_.answer(std::min(outcomes[0].score, kLorahubWorst));
  }

 private:
  /// Back over the edge as far as it went beyond, and no farther than the other edge.
  static double folded(double x, double lower, double upper) {
    const double inside = std::clamp(x, lower, upper);
    return std::clamp(2 * inside - x, lower, upper);
  }

  void search(const Conversation::Evaluate& evaluate) const {
    constexpr double kLastRho = 1e-6;
    Point best(box_.size(), 0.0);
    double score = std::numeric_limits<double>::infinity();
    for (;;) {
      const CobylaResult found = cobyla(best, edge_, kLastRho, std::numeric_limits<std::int32_t>::max(), evaluate);
      if (found.ended) return;
      if (found.score < score) best = found.point, score = found.score;
    }
  }

  const Problem box_;
  const Point width_;
  const double edge_;
  Conversation talk_;  // last: its thread uses the others
};

}  // namespace

std::unique_ptr<Engine> make_lorahub(const Problem& box, const OptimizerOptions& options) {
  check_square(box, "lorahub");
  return std::make_unique<Lorahub>(box, options.step > 0 ? kSharesOfWidth * options.step : 1.0);
}

}  // namespace weft::search
