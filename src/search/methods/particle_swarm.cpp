// Particle swarm with constriction (Clerc and Kennedy 2002).
#include <algorithm>
#include <cmath>
#include <limits>

#include "search/methods/methods.h"
#include "search/stream.h"

namespace weft::search {

namespace {

class ParticleSwarm : public Engine {
 public:
  ParticleSwarm(const Problem& box, std::int64_t population)
      : box_(box), width_(widths(box)), count_(static_cast<size_t>(population)), stream_(box.seed, "particle_swarm") {}

  Question propose(std::int64_t) override {
    if (places_.empty()) {
      scatter();
    } else {
      fly();
    }
    return {places_, false, "flight"};
  }

  void learn(const std::vector<Point>& points, const std::vector<Outcome>& outcomes) override {
    for (size_t k = 0; k < points.size(); ++k) {
      places_[k] = points[k];
      if (outcomes[k].score < scores_[k]) own_[k] = points[k], scores_[k] = outcomes[k].score;
    }
  }

 private:
  /// The first particle stands at the start, the others anywhere.
  void scatter() {
    constexpr double kFirstSpeed = 0.2;
    for (size_t k = 0; k < count_; ++k) {
      Point place(box_.start), speed(box_.size());
      for (size_t i = 0; i < place.size(); ++i) {
        if (k > 0) place[i] = box_.lower[i] + width_[i] * stream_.uniform();
        speed[i] = kFirstSpeed * width_[i] * (stream_.uniform() - 0.5);
      }
      places_.push_back(std::move(place));
      speeds_.push_back(std::move(speed));
    }
    own_ = places_;
    scores_.assign(count_, std::numeric_limits<double>::infinity());
  }

  void fly() {
    constexpr double kInertia = 0.7298, kPull = 1.4962;
    const Point best = own_[by_score(scores_).front()];
    for (size_t k = 0; k < count_; ++k) {
      for (size_t i = 0; i < best.size(); ++i) {
        double& x = places_[k][i];
        double& speed = speeds_[k][i];
        speed =
            kInertia * speed + kPull * stream_.uniform() * (own_[k][i] - x) + kPull * stream_.uniform() * (best[i] - x);
        speed = std::clamp(speed, -0.5 * width_[i], 0.5 * width_[i]);
        x += speed;
        if (x >= box_.lower[i] && x <= box_.upper[i]) continue;
        x = std::clamp(x, box_.lower[i], box_.upper[i]);
        speed *= -0.5;  // back from the edge
      }
    }
  }

  const Problem box_;
  const Point width_;
  const size_t count_;
  Stream stream_;
  std::vector<Point> places_, speeds_, own_;
  std::vector<double> scores_;
};

}  // namespace

std::unique_ptr<Engine> make_particle_swarm(const Problem& box, const OptimizerOptions& options) {
  const std::int64_t usual = std::clamp<std::int64_t>(box.budget / 10, 6, 24);
  return std::make_unique<ParticleSwarm>(box, population_of(options, box, usual, 2, "particle_swarm"));
}

}  // namespace weft::search
