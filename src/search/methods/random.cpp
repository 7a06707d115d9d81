// The start, then points drawn uniformly from the box.
#include <algorithm>

#include "search/methods/methods.h"
#include "search/stream.h"

namespace weft::search {

namespace {

class RandomPoints : public Engine {
 public:
  RandomPoints(const Problem& box, std::int64_t together)
      : box_(box), width_(widths(box)), together_(together), stream_(box.seed, "random") {}

  Question propose(std::int64_t left) override {
    Question question{{}, false, "draw"};
    for (std::int64_t k = 0; k < std::min(left, together_); ++k) {
      Point point(box_.start);
      for (size_t i = 0; i < point.size() && started_; ++i) {
        point[i] = box_.lower[i] + width_[i] * stream_.uniform();
      }
      question.points.push_back(std::move(point));
      started_ = true;
    }
    return question;
  }

  void learn(const std::vector<Point>&, const std::vector<Outcome>&) override {}

 private:
  const Problem box_;
  const Point width_;
  const std::int64_t together_;
  Stream stream_;
  bool started_ = false;
};

}  // namespace

std::unique_ptr<Engine> make_random(const Problem& box, const OptimizerOptions& options) {
  return std::make_unique<RandomPoints>(box, population_of(options, box, 16, 1, "random"));
}

}  // namespace weft::search
