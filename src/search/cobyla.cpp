#include "cobyla.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "simplex.h"

namespace weft::search {

namespace {

constexpr double kShrink = 0.5, kGrow = 2.0;  // of delta, by the last step
constexpr double kPoor = 0.1, kGood = 0.7;    // ratios of actual to predicted reduction
constexpr double kSnap = 1.5;                 // a delta below this many rho becomes rho
constexpr double kWorst = 1e30;               // scores above count as this
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

double cobyla_norm2(const Point& v) {
  double sum = 0;
  for (const double x : v) sum += x * x;
  return sum;
}

double cobyla_dot(const Point& a, const Point& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// The next, finer rho.
double finer(double rho, double last) {
  const double ratio = rho / last;
  if (ratio > 250) return 0.1 * rho;
  return ratio <= 16 ? last : std::sqrt(ratio) * last;
}

/// The step that lowers a linear function most within `delta`; zero where it is flat or all but infinitely steep.
Point steepest(Point gradient, double delta) {
  constexpr double kHuge = 1e12;
  double largest = 0;
  for (const double g : gradient) largest = std::max(largest, std::abs(g));
  for (double& g : gradient) g = largest > kHuge ? g / largest : g;
  const double norm = std::sqrt(cobyla_norm2(gradient));
  const bool usable = norm > 0 && std::isfinite(norm) && 1 / (norm * norm) > kEpsilon * delta * delta;
  for (double& g : gradient) g = usable ? -delta * g / norm : 0.0;
  return gradient;
}

class Cobyla {
 public:
  Cobyla(double first_rho, double last_rho, std::int64_t evaluations, const Conversation::Evaluate& evaluate)
      : evaluate_(evaluate), last_rho_(last_rho), rho_(first_rho), delta_(first_rho), left_(evaluations) {}

  CobylaResult run(const Point& start) {
    best_.point = start;
    best_.score = std::numeric_limits<double>::infinity();
    if (!begin(start)) return best_;
    // Steps onto known vertices cost nothing: they must not go on for ever.
    constexpr int kMostIdle = 1000;
    for (int idle = 0; idle < kMostIdle && left_ > 0; ++idle) {
      const std::int64_t before = left_;
      if (!iterate()) break;
      if (left_ < before) idle = 0;
    }
    return best_;
  }

 private:
  /// The first simplex: one step along each coordinate, from the best point so far.
  bool begin(const Point& start) {
    const size_t n = start.size();
    simplex_ = Simplex(start, rho_);
    double score = 0;
    if (!score_at(start, score)) return false;
    simplex_.set_pole_score(score);
    for (size_t j = 0; j < n; ++j) {
      Point point = simplex_.pole();
      point[j] += rho_;
      if (!score_at(point, score)) return false;
      simplex_.add_first(j, point, score, rho_);
    }
    return simplex_.invert();
  }

  /// A trust-region step, then a better geometry or a finer rho where the step was bad. False: the run is over.
  bool iterate() {
    if (!simplex_.best_to_pole()) return false;
    const bool adequate = simplex_.within(2 * delta_);
    const Point gradient = simplex_.gradient();
    step_ = steepest(gradient, delta_);
    const double length = std::min(delta_, std::sqrt(cobyla_norm2(step_)));
    const double predicted = -cobyla_dot(step_, gradient);
    const bool tiny = length <= 0.1 * rho_;
    // The penalty for constraints never leaves its least value, epsilon.
    const bool failed = !(predicted > 1e-6 * kEpsilon * rho_);
    bool bad = tiny || failed;
    if (bad) {
      delta_ = snapped(0.1 * delta_);
    } else if (!trust_step(length, predicted, bad)) {
      return false;
    }
    if (bad && !adequate && !simplex_.within(2 * delta_) && !improve_geometry()) return false;
    if (bad && adequate && std::max(delta_, length) <= rho_) return reduce_rho(tiny);
    return true;
  }

  bool trust_step(double length, double predicted, bool& bad) {
    double score = 0;
    if (!score_near(step_, score)) return false;
    const double actual = simplex_.pole_score() - score;
    const double ratio = std::isnan(actual) ? -std::numeric_limits<double>::max() : actual / predicted;
    if (ratio <= kPoor) {
      delta_ = kShrink * length;
    } else {
      delta_ = std::max(kShrink * delta_, ratio <= kGood ? length : kGrow * length);
    }
    delta_ = snapped(delta_);
    const std::optional<size_t> out = to_drop(actual > 0);
    bad = ratio <= 0 || !out;
    return !out || simplex_.replace(*out, step_, score);
  }

  /// Which vertex the step's end replaces: far from the best point, and such that the simplex stays wide.
  std::optional<size_t> to_drop(bool improved) const {
    const size_t n = step_.size();
    std::vector<double> distance(n + 1, 0.0);
    for (size_t j = 0; j < n; ++j) {
      Point edge = simplex_.edge(j);
      for (size_t i = 0; i < n && improved; ++i) edge[i] -= step_[i];
      distance[j] = cobyla_norm2(edge);
    }
    if (improved) distance[n] = cobyla_norm2(step_);
    const std::vector<double> shares = simplex_.shares(step_);
    const double unit = std::max(rho_, delta_ / 10);
    size_t best = 0;
    double most = 0;
    for (size_t j = 0; j <= n; ++j) {
      const double weight = std::max(1.0, distance[j] / (unit * unit));
      const double merit = j == n && !improved ? -1.0 : weight * std::abs(shares[j]);
      if (merit > most) best = j, most = merit;
    }
    if (most > 0) return best;
    if (!improved) return std::nullopt;
    return static_cast<size_t>(std::max_element(distance.begin(), distance.end()) - distance.begin());
  }

  /// Replaces the vertex farthest from the pole by one straight above the face of the others.
  bool improve_geometry() {
    const size_t out = simplex_.farthest();
    step_ = simplex_.normal(out);
    const double norm = std::sqrt(cobyla_norm2(step_)), length = delta_ / 2;
    for (double& x : step_) x = length * (x / norm);
    if (cobyla_dot(step_, simplex_.gradient()) > 0) {
      for (double& x : step_) x = -x;
    }
    double score = 0;
    return score_near(step_, score) && simplex_.replace(out, step_, score);
  }

  bool reduce_rho(bool tiny) {
    if (rho_ <= last_rho_) {
      // The last step has not been tried when it was thought too short.
      double score = 0;
      if (tiny && std::sqrt(cobyla_norm2(step_)) > 1e-3 * last_rho_ && left_ > 0)
        score_at(simplex_.from_pole(step_), score);
      return false;
    }
    const double next = finer(rho_, last_rho_);
    delta_ = std::max(0.5 * rho_, next);
    rho_ = next;
    return simplex_.best_to_pole();
  }

  double snapped(double delta) const { return delta <= kSnap * rho_ ? rho_ : delta; }

  /// The score a step away from the pole; that of a vertex when it is as good as there. False: the run is over.
  bool score_near(const Point& step, double& score) {
    const Point point = simplex_.from_pole(step);
    if (simplex_.known(point, 1e-4 * last_rho_, score)) return true;
    return left_ > 0 && score_at(point, score);
  }

  bool score_at(const Point& point, double& score) {
    const std::optional<double> answer = evaluate_(point);
    if (!answer) {
      best_.ended = true;
      return false;
    }
    --left_;
    score = std::isnan(*answer) ? kWorst : std::min(*answer, kWorst);
    if (score < best_.score) best_.point = point, best_.score = score;
    return true;
  }

  const Conversation::Evaluate& evaluate_;
  const double last_rho_;
  double rho_, delta_;
  std::int64_t left_;
  Simplex simplex_;
  Point step_;
  CobylaResult best_;
};

}  // namespace

CobylaResult cobyla(const Point& start, double first_rho, double last_rho, std::int64_t evaluations,
                    const Conversation::Evaluate& evaluate) {
  return Cobyla(first_rho, last_rho, evaluations, evaluate).run(start);
}

}  // namespace weft::search
