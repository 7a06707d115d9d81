// Looks at the ingredients first: the origin, each one alone, sums of promising pairs; then CMA-ES with small steps
// from the best of these. It assumes that few ingredients matter.
#include <algorithm>
#include <limits>
#include <utility>

#include "search/cma.h"
#include "search/methods/methods.h"

namespace weft::search {

namespace {

class Screening : public Engine {
 public:
  Screening(const Problem& box, const OptimizerOptions& options) : box_(box), options_(options) {}

  Question propose(std::int64_t left) override {
    switch (stage_) {
      case Stage::kSingles: return singles(left);
      case Stage::kPairs: {
        Question question = pairs(left);
        if (!question.empty()) return question;
        stage_ = Stage::kRefine;
        [[fallthrough]];
      }
      case Stage::kRefine: break;
    }
    if (!refiner_) begin_refining();
    return refiner_->propose(left);
  }

  void learn(const std::vector<Point>& points, const std::vector<Outcome>& outcomes) override {
    if (stage_ == Stage::kRefine) {
      refiner_->learn(points, outcomes);
      return;
    }
    for (size_t k = 0; k < points.size(); ++k) {
      if (outcomes[k].score < best_score_) best_ = points[k], best_score_ = outcomes[k].score;
      if (stage_ == Stage::kSingles && k >= alone_) single_scores_.push_back(outcomes[k].score);
    }
    stage_ = stage_ == Stage::kSingles ? Stage::kPairs : Stage::kRefine;
  }

 private:
  enum class Stage { kSingles, kPairs, kRefine };

  /// The origin, the start where it is another point, and singles in order: at most half of the budget.
  Question singles(std::int64_t left) {
    Question question{{box_.origin}, false, "singles"};
    if (box_.start != box_.origin && left > 1) question.points.push_back(box_.start);
    alone_ = question.points.size();
    const size_t most = std::max<size_t>(alone_, static_cast<size_t>(left / 2));
    for (const Point& single : box_.singles) {
      if (question.points.size() >= most) break;
      question.points.push_back(single);
    }
    best_ = box_.origin;
    return question;
  }

  /// Sums of two singles, the pairs with the best sum of scores first: at most half of what is left.
  Question pairs(std::int64_t left) {
    struct Pair {
      double score;
      size_t a, b;
    };
    Question question{{}, false, "pairs"};
    const size_t most = static_cast<size_t>(left / 2);
    std::vector<Pair> ranked;
    // A pair that enough others beat in both members need not be looked at: a pool of thousands has millions of pairs.
    const std::vector<size_t> order = by_score(single_scores_);
    for (size_t i = 0; i < order.size(); ++i) {
      for (size_t j = i + 1; j < order.size() && (i + 1) * (2 * j - i) <= 2 * most; ++j) {
        const double score = single_scores_[order[i]] + single_scores_[order[j]];
        if (score < std::numeric_limits<double>::infinity()) ranked.push_back({score, order[i], order[j]});
      }
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const Pair& x, const Pair& y) { return x.score < y.score; });
    for (size_t k = 0; k < std::min(most, ranked.size()); ++k) question.points.push_back(sum(ranked[k].a, ranked[k].b));
    return question;
  }

  Point sum(size_t a, size_t b) const {
    Point point(box_.origin);
    for (size_t i = 0; i < point.size(); ++i) {
      const double moved = (box_.singles[a][i] - box_.origin[i]) + (box_.singles[b][i] - box_.origin[i]);
      point[i] = std::clamp(box_.origin[i] + moved, box_.lower[i], box_.upper[i]);
    }
    return point;
  }

  void begin_refining() {
    CmaStart start;
    start.sigma = options_.step > 0 ? options_.step : 1.0 / 15;
    start.start_known = true;
    start.kind = box_.size() > 256 ? CmaKind::kSeparable : CmaKind::kFull;
    if (options_.population > 0) start.population = population_of(options_, box_, 0, 2, "screened");
    Problem from = box_;
    from.start = best_;
    from.singles.clear();
    refiner_ = std::make_unique<CmaEngine>(from, start);
  }

  const Problem box_;
  const OptimizerOptions options_;
  Stage stage_ = Stage::kSingles;
  size_t alone_ = 1;  // points of the first question that are no singles
  std::vector<double> single_scores_;
  Point best_;
  double best_score_ = std::numeric_limits<double>::infinity();
  std::unique_ptr<Engine> refiner_;
};

}  // namespace

std::unique_ptr<Engine> make_screened(const Problem& box, const OptimizerOptions& options) {
  if (options.population > 0) population_of(options, box, 0, 2, "screened");
  return std::make_unique<Screening>(box, options);
}

}  // namespace weft::search
