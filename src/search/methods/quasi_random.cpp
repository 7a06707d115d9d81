// The start, then points of a Halton sequence with randomly permuted digits: more even than random ones. Coordinates
// past the first 168, whose bases would be above 1,000, are drawn at random: the sequence evens out nothing there.
#include <algorithm>
#include <numeric>

#include "search/methods/methods.h"
#include "search/stream.h"

namespace weft::search {

namespace {

constexpr std::uint32_t kLargestBase = 1000;

/// Primes up to kLargestBase, at most `count`.
std::vector<std::uint32_t> halton_bases(size_t count) {
  std::vector<std::uint32_t> primes;
  for (std::uint32_t candidate = 2; primes.size() < count && candidate <= kLargestBase; ++candidate) {
    const bool prime = std::none_of(primes.begin(), primes.end(), [&](std::uint32_t p) { return candidate % p == 0; });
    if (prime) primes.push_back(candidate);
  }
  return primes;
}

class HaltonPoints : public Engine {
 public:
  HaltonPoints(const Problem& box, std::int64_t together)
      : box_(box), width_(widths(box)), together_(together), stream_(box.seed, "quasi_random") {
    for (const std::uint32_t base : halton_bases(box.size())) {
      std::vector<std::uint32_t> digits(base);
      std::iota(digits.begin(), digits.end(), 0u);
      for (size_t k = base; k-- > 1;) std::swap(digits[k], digits[stream_.below(k + 1)]);
      digits_.push_back(std::move(digits));
    }
  }

  Question propose(std::int64_t left) override {
    Question question{{}, false, "draw"};
    for (std::int64_t k = 0; k < std::min(left, together_); ++k, ++index_) {
      Point point(box_.start);
      for (size_t i = 0; i < point.size() && index_ > 0; ++i) point[i] = box_.lower[i] + width_[i] * share(i);
      question.points.push_back(std::move(point));
    }
    return question;
  }

  void learn(const std::vector<Point>&, const std::vector<Outcome>&) override {}

 private:
  /// Coordinate i of the point in (0, 1): the index's permuted digits, mirrored at the point, zeros included.
  double share(size_t i) {
    if (i >= digits_.size()) return stream_.uniform();
    constexpr double kFinest = 1e-16;
    const std::uint64_t base = digits_[i].size();
    double value = 0, place = 1;
    for (std::uint64_t rest = index_; place > kFinest; rest /= base) {
      place /= static_cast<double>(base);
      value += place * digits_[i][rest % base];
    }
    return value;
  }

  const Problem box_;
  const Point width_;
  const std::int64_t together_;
  Stream stream_;
  std::vector<std::vector<std::uint32_t>> digits_;  // by base: what each digit becomes
  std::uint64_t index_ = 0;
};

}  // namespace

std::unique_ptr<Engine> make_quasi_random(const Problem& box, const OptimizerOptions& options) {
  return std::make_unique<HaltonPoints>(box, population_of(options, box, 16, 1, "quasi_random"));
}

}  // namespace weft::search
