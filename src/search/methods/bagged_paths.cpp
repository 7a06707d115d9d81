// Follows gradients from a scaled sum of all ingredients, under a normal prior: once for each part of the examples. The
// ends are averaged (bagging, Breiman 1996), and the average is drawn back towards the scaled sum as far as examples
// that a path has not seen ask for (cross-validation): a dozen weights overfit a dozen examples.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "search/methods/methods.h"
#include "search/trust_region.h"

namespace weft::search {

namespace {

// Chosen on the zoo and on half of the sets of recipes/real.
constexpr double kPriorWidth = 1.0;      // standard deviation of every weight, for a path over all examples
constexpr double kPartPriorWidth = 2.0;  // for paths whose ends are averaged
constexpr int kPartSteps = 14;           // gradients of such a path, at most
constexpr int kFewestSteps = 4;
constexpr int kShrinkSteps = 5;       // shares of the way back that are tried, beside none
constexpr double kFirstReach = 0.5;   // first step, as a share of the way from nothing to one ingredient whole
constexpr std::int64_t kSmall = 24;   // a smaller budget goes into one path
constexpr std::int64_t kMedium = 70;  // two parts below, then three
constexpr std::int64_t kLarge = 150;  // four parts from here on

double distance(const Point& a, const Point& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

class BaggedPaths : public Engine {
 public:
  BaggedPaths(const Problem& box, const OptimizerOptions& options) : box_(box) {
    const Point width = widths(box);
    const double mean_width = std::sqrt(std::inner_product(width.begin(), width.end(), width.begin(), 0.0) /
                                        static_cast<double>(width.size()));
    double reach = 0;
    for (const Point& single : box.singles)
      reach += distance(single, box.origin) / static_cast<double>(box.singles.size());
    radius_ = options.step > 0 ? options.step * mean_width : kFirstReach * (reach > 0 ? reach : mean_width / 3);
  }

  Question propose(std::int64_t left) override {
    if (stage_ == Stage::kScales) {
      Question scales = scales_question(left);
      if (!scales.empty()) return scales;
      begin_path(box_.start, kPriorWidth);
      stage_ = Stage::kPath;
    }
    if (stage_ == Stage::kChoose) plan_parts(left);
    switch (stage_) {
      case Stage::kPart: return {{path_->next()}, true, "part", {folds_, fold_}};
      case Stage::kShrink: return {shrunk(ends_[static_cast<size_t>(fold_)]), false, "shrink", {folds_, fold_, true}};
      case Stage::kAverage: return {{average()}, false, "average"};
      case Stage::kEnds: return {ends_, false, "ends"};
      case Stage::kPath:
        if (path_->converged() || left < box_.gradient_cost) return {};
        return {{path_->next()}, true, "path"};
      default: return {};
    }
  }

  void learn(const std::vector<Point>& points, const std::vector<Outcome>& outcomes) override {
    switch (stage_) {
      case Stage::kScales: return learn_scales(points, outcomes);
      case Stage::kPart: return learn_part(points[0], outcomes[0]);
      case Stage::kShrink: return learn_shrink(outcomes);
      case Stage::kAverage: return learn_average(points[0], outcomes[0].score);
      case Stage::kEnds: return learn_ends(points, outcomes);
      case Stage::kPath:
        consider(points[0], outcomes[0].score);
        follow(points[0], outcomes[0], curvature_of(kPriorWidth));
        return;
      default: return;
    }
  }

  Point recommended() const override { return best_; }

 private:
  enum class Stage { kScales, kChoose, kPart, kShrink, kAverage, kEnds, kPath, kDone };

  /// Second derivative of the prior's share in a mean over all examples.
  double curvature_of(double prior_width) const {
    return box_.observations > 0 ? 1.0 / (prior_width * prior_width * box_.observations) : 0.0;
  }

  double penalty(const Point& point, double curvature) const {
    const double length = distance(point, box_.origin);
    return 0.5 * curvature * length * length;
  }

  /// Keeps the best point so far, scores weighed against the prior.
  void consider(const Point& point, double score) {
    const double total = score + penalty(point, curvature_of(kPriorWidth));
    if (total < best_total_) best_ = point, best_total_ = total;
  }

  /// Nothing, the start, and all ingredients together with weights that sum to 1 and to 3.
  Question scales_question(std::int64_t left) const {
    if (left < kSmall || box_.singles.size() < 2) return {};
    Question out{{box_.origin}, false, "scales"};
    if (box_.start != box_.origin) out.points.push_back(box_.start);
    for (const double total : {1.0, 3.0}) out.points.push_back(together(total));
    return out;
  }

  Point together(double total) const {
    const double each = total / static_cast<double>(box_.singles.size());
    Point out(box_.origin);
    for (const Point& single : box_.singles)
      for (size_t i = 0; i < out.size(); ++i) out[i] += each * (single[i] - box_.origin[i]);
    for (size_t i = 0; i < out.size(); ++i) out[i] = std::clamp(out[i], box_.lower[i], box_.upper[i]);
    return out;
  }

  void learn_scales(const std::vector<Point>& points, const std::vector<Outcome>& outcomes) {
    size_t best = 0;
    for (size_t i = 0; i < points.size(); ++i) {
      consider(points[i], outcomes[i].score);
      if (outcomes[i].score < outcomes[best].score) best = i;
    }
    first_ = points[best];
    stage_ = Stage::kChoose;
  }

  /// How many parts, and how many gradients for each.
  void plan_parts(std::int64_t left) {
    stage_ = Stage::kPath;
    folds_ = std::min(box_.budget < kMedium ? 2 : box_.budget < kLarge ? 3 : 4, box_.folds);
    if (folds_ >= 2) {
      const double each = folds_ * Part{folds_, 0}.share() * static_cast<double>(box_.gradient_cost);
      const double afterwards = kShrinkSteps + 2 + folds_;
      part_steps_ = std::min(kPartSteps, static_cast<int>((static_cast<double>(left) - afterwards) / each));
      if (part_steps_ >= kFewestSteps) stage_ = Stage::kPart;
    }
    begin_path(first_, stage_ == Stage::kPart ? kPartPriorWidth : kPriorWidth);
  }

  void begin_path(const Point& from, double prior_width) {
    path_.emplace(box_.lower, box_.upper, from, radius_, std::max(curvature_of(prior_width), 1e-6));
    steps_ = 0;
  }

  void follow(const Point& point, const Outcome& outcome, double curvature) {
    Point gradient = outcome.gradient;
    for (size_t i = 0; i < gradient.size(); ++i) gradient[i] += curvature * (point[i] - box_.origin[i]);
    path_->learn(outcome.score + penalty(point, curvature), gradient);
    ++steps_;
  }

  void learn_part(const Point& point, const Outcome& outcome) {
    follow(point, outcome, curvature_of(kPartPriorWidth) / Part{folds_, fold_}.share());
    if (!path_->converged() && steps_ < part_steps_) return;
    ends_.push_back(path_->best().empty() ? first_ : path_->best());
    begin_path(first_, kPartPriorWidth);
    if (++fold_ < folds_) return;
    fold_ = 0;
    stage_ = Stage::kShrink;
  }

  /// Points on the way from where all paths began to `end`, the first one and the last one included.
  std::vector<Point> shrunk(const Point& end) const {
    std::vector<Point> out;
    for (int k = 0; k <= kShrinkSteps; ++k) out.push_back(between(end, static_cast<double>(k) / kShrinkSteps));
    return out;
  }

  Point between(const Point& end, double share) const {
    Point out(first_);
    for (size_t i = 0; i < out.size(); ++i) out[i] += share * (end[i] - first_[i]);
    return out;
  }

  // How far each path should have gone is told by the examples that it has not seen.
  void learn_shrink(const std::vector<Outcome>& outcomes) {
    unseen_.resize(kShrinkSteps + 1, 0.0);
    for (size_t k = 0; k < unseen_.size(); ++k)
      unseen_[k] += k < outcomes.size() ? outcomes[k].score / folds_ : std::numeric_limits<double>::infinity();
    if (++fold_ == folds_) stage_ = Stage::kAverage;
  }

  size_t best_share() const {
    return static_cast<size_t>(std::min_element(unseen_.begin(), unseen_.end()) - unseen_.begin());
  }

  Point average() const {
    Point mean(box_.size(), 0.0);
    for (const Point& end : ends_)
      for (size_t i = 0; i < mean.size(); ++i) mean[i] += end[i] / static_cast<double>(ends_.size());
    // A mean overfits less than the paths it is of: half of the way back is enough.
    return between(mean, 0.5 + 0.5 * static_cast<double>(best_share()) / kShrinkSteps);
  }

  // The average has seen all examples, so it should do better than the paths do on examples that they have not seen. If
  // not, the ends lie in different valleys and have no meaningful mean: one path over all examples then, from the best.
  void learn_average(const Point& point, double score) {
    stage_ = score <= unseen_[best_share()] ? Stage::kDone : Stage::kEnds;
    if (stage_ == Stage::kDone) best_ = point;
  }

  void learn_ends(const std::vector<Point>& points, const std::vector<Outcome>& outcomes) {
    for (size_t i = 0; i < points.size(); ++i) consider(points[i], outcomes[i].score);
    stage_ = Stage::kPath;
    begin_path(best_.empty() ? first_ : best_, kPriorWidth);
  }

  const Problem box_;
  double radius_ = 0.5;
  Stage stage_ = Stage::kScales;
  int folds_ = 0, fold_ = 0, part_steps_ = 0, steps_ = 0;
  std::optional<TrustRegion> path_;
  std::vector<Point> ends_;     ///< of the parts
  std::vector<double> unseen_;  ///< by share of the way: the mean score on the fold that each path has not seen
  Point first_, best_;
  double best_total_ = std::numeric_limits<double>::infinity();
};

}  // namespace

std::unique_ptr<Engine> make_bagged_paths(const Problem& box, const OptimizerOptions& options) {
  return std::make_unique<BaggedPaths>(box, options);
}

}  // namespace weft::search
