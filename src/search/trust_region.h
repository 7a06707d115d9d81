#pragma once

#include <vector>

#include "weft/search/optimizer.h"

namespace weft::search {

/**
 * Minimises a smooth function by its gradients: a quadratic model with a BFGS matrix (damped as Powell 1978 does, so
 * that it stays positive definite) is minimised within a trust region, whose radius follows how well the model
 * foretells (Nocedal and Wright, Numerical Optimization, 2nd ed., chapters 4 and 18.3). One evaluation a step,
 * none for line searches.
 */
class TrustRegion {
 public:
  /// @param radius of the first step; `curvature`: what is known of the second derivatives before any is seen, above 0.
  TrustRegion(Point lower, Point upper, Point start, double radius, double curvature);

  /// Where to evaluate next.
  const Point& next() const { return next_; }
  /// What was found there. After one that is not finite a quarter of the way is tried.
  void learn(double score, const Point& gradient);
  /// The best point so far; empty before the first finite score.
  const Point& best() const { return place_; }
  double best_score() const { return score_; }
  /// The next step would be too short to change anything.
  bool converged() const { return converged_; }

 private:
  void update_model(const Point& step, const Point& change);
  void plan();

  Point lower_, upper_, place_, gradient_, next_;
  std::vector<double> model_;  ///< [n, n], positive definite
  double radius_, curvature_, score_ = 0.0;
  bool scaled_ = false;  ///< the model has the size of curvatures that were seen
  bool converged_ = false;
};

/// The step that minimises g·s + ½ s·Bs within |s| <= radius. `model`: B, [n, n], symmetric positive definite.
Point trust_region_step(const std::vector<double>& model, const Point& gradient, double radius);

}  // namespace weft::search
