// Differential evolution, DE/current-to-best/1/bin (Storn and Price 1997).
#include <algorithm>
#include <cmath>
#include <limits>

#include "search/methods/methods.h"
#include "search/stream.h"

namespace weft::search {

namespace {

class DifferentialEvolution : public Engine {
 public:
  DifferentialEvolution(const Problem& box, std::int64_t population)
      : box_(box),
        width_(widths(box)),
        count_(static_cast<size_t>(population)),
        stream_(box.seed, "differential_evolution") {}

  Question propose(std::int64_t) override {
    return members_.empty() ? Question{first(), false, "first points"} : Question{trials(), false, "trials"};
  }

  void learn(const std::vector<Point>& points, const std::vector<Outcome>& outcomes) override {
    if (members_.empty()) {
      members_ = points;
      for (const Outcome& outcome : outcomes) scores_.push_back(outcome.score);
      return;
    }
    for (size_t k = 0; k < points.size(); ++k) {
      if (outcomes[k].score <= scores_[k]) members_[k] = points[k], scores_[k] = outcomes[k].score;
    }
  }

 private:
  /// The start, and points all over the box.
  std::vector<Point> first() {
    std::vector<Point> points = {box_.start};
    while (points.size() < count_) {
      Point point(box_.size());
      for (size_t i = 0; i < point.size(); ++i) point[i] = box_.lower[i] + width_[i] * stream_.uniform();
      points.push_back(std::move(point));
    }
    return points;
  }

  std::vector<Point> trials() {
    constexpr double kCrossover = 0.7;
    const size_t best = by_score(scores_).front();
    std::vector<Point> points;
    for (size_t k = 0; k < members_.size(); ++k) {
      const double scale = 0.4 + 0.5 * stream_.uniform();
      const Point &one = members_[stream_.below(members_.size())], &other = members_[stream_.below(members_.size())];
      const size_t always = stream_.below(box_.size());
      Point point = members_[k];
      for (size_t i = 0; i < point.size(); ++i) {
        if (stream_.uniform() >= kCrossover && i != always) continue;
        point[i] += scale * (members_[best][i] - point[i]) + scale * (one[i] - other[i]);
        point[i] = fold(point[i], box_.lower[i], box_.upper[i]);
      }
      points.push_back(std::move(point));
    }
    return points;
  }

  const Problem box_;
  const Point width_;
  const size_t count_;
  Stream stream_;
  std::vector<Point> members_;
  std::vector<double> scores_;
};

}  // namespace

std::unique_ptr<Engine> make_differential_evolution(const Problem& box, const OptimizerOptions& options) {
  // About ten generations, within what is usual for the dimension.
  const std::int64_t most = std::max<std::int64_t>(8, 5 * static_cast<std::int64_t>(box.size()));
  const std::int64_t usual = std::clamp<std::int64_t>(box.budget / 10, 8, most);
  return std::make_unique<DifferentialEvolution>(box, population_of(options, box, usual, 4, "differential_evolution"));
}

}  // namespace weft::search
