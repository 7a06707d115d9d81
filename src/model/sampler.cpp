#include "model/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string_view>

namespace weft::model {

namespace {

/// Uniform in (0, 1) with 53 bits; one block of random words per sequence and step.
double uniform_of_step(const Philox& random, std::uint64_t sequence, std::uint64_t step) {
  const auto words = random.block(step, sequence);
  const std::uint64_t bits = (std::uint64_t{words[0]} << 32 | words[1]) >> 11;
  return (static_cast<double>(bits) + 0.5) * 0x1p-53;
}

[[noreturn]] void refuse_logits(std::string_view what) {
  throw NonFiniteError(
      fmt::format("the model's logits are {}; the weights or an adapter are broken or out of range", what));
}

/// NaN fails every comparison, so `good` is written the way round that is false for it.
void check_option(bool good, std::string_view name, double value, std::string_view expected) {
  if (!good) throw UsageError(fmt::format("{} is {}, expected {}", name, value, expected));
}

}  // namespace

void check_sampling(const GenerateOptions& o) {
  check_option(o.temperature >= 0 && std::isfinite(o.temperature), "temperature", o.temperature,
               "a finite number of at least 0 (0: greedy)");
  if (o.top_k < 0) throw UsageError(fmt::format("top_k is {}, expected at least 0 (0: all tokens)", o.top_k));
  check_option(o.top_p > 0 && o.top_p <= 1, "top_p", o.top_p, "a number in (0, 1] (1: all tokens)");
  // The penalty acts in float32 and may neither vanish nor overflow there.
  check_option(o.repetition_penalty >= 1e-6 && o.repetition_penalty <= 1e6, "repetition_penalty", o.repetition_penalty,
               "a number in [1e-6, 1e6] (1: none)");
}

std::int64_t largest_logit(std::span<const float> logits) {
  std::int64_t at = -1;
  float best = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i) {
    // Written so that NaN enters.
    if (logits[i] <= best) continue;
    best = logits[i];
    at = static_cast<std::int64_t>(i);
    if (!(best < std::numeric_limits<float>::infinity())) refuse_logits("not finite");
  }
  if (at < 0) refuse_logits("all -inf");
  return at;
}

Sampler::Sampler(const GenerateOptions& options)
    : temperature_(options.temperature),
      top_p_(options.top_p),
      top_k_(options.top_k),
      penalty_(static_cast<float>(options.repetition_penalty)),
      random_(options.seed) {}

void Sampler::penalize(std::span<float> logits, std::span<const std::int64_t> seen) const {
  if (penalty_ == 1.0f) return;
  for (const std::int64_t id : seen) {
    // Ids that the model cannot produce need no penalty.
    if (id < 0 || id >= static_cast<std::int64_t>(logits.size())) continue;
    float& logit = logits[static_cast<size_t>(id)];
    logit = logit < 0 ? logit * penalty_ : logit / penalty_;
  }
}

/// The k-th largest logit: a buffer of 2k is cut to its k largest whenever it is full, so most logits cost a
/// comparison.
float Sampler::smallest_of_top_k(std::span<const float> logits) {
  const size_t k = static_cast<size_t>(top_k_);
  float bound = -std::numeric_limits<float>::infinity();
  largest_.clear();
  const auto cut = [&] {
    const auto kth = largest_.begin() + static_cast<std::ptrdiff_t>(k) - 1;
    std::nth_element(largest_.begin(), kth, largest_.end(), std::greater<>());
    bound = *kth;
    largest_.resize(k);
  };
  for (const float logit : logits) {
    if (logit <= bound) continue;
    largest_.push_back(logit);
    if (largest_.size() == 2 * k) cut();
  }
  if (largest_.size() >= k) cut();
  return bound;
}

void Sampler::collect(std::span<const float> logits) {
  const double top = logits[static_cast<size_t>(largest_logit(logits))];
  float bound = -std::numeric_limits<float>::infinity();
  if (top_k_ > 0 && top_k_ < static_cast<std::int64_t>(logits.size())) bound = smallest_of_top_k(logits);
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] >= bound)
      candidates_.push_back(
          {static_cast<std::int64_t>(i), std::exp((static_cast<double>(logits[i]) - top) / temperature_)});
  if (top_p_ < 1.0) keep_nucleus();
}

double Sampler::total() const {
  double sum = 0.0;
  for (const Candidate& c : candidates_) sum += c.weight;
  return sum;
}

/// Keeps the smallest set of heaviest candidates that together weigh top_p of all. Nothing is sorted but a handful at
/// the end: what lies below a bound comes after the nucleus in any case, and the rest is halved towards the cut.
void Sampler::keep_nucleus() {
  constexpr size_t kFew = 32;
  const double wanted = top_p_ * total();
  for (const double bound : {1e-4, 0.0}) {
    double found = 0.0;
    nucleus_.clear();
    for (const Candidate& c : candidates_) {
      if (c.weight < bound) continue;
      nucleus_.push_back(c);
      found += c.weight;
    }
    if (found >= wanted) break;
  }
  const auto heavier = [](const Candidate& x, const Candidate& y) {
    return x.weight > y.weight || (x.weight == y.weight && x.id < y.id);
  };
  auto low = nucleus_.begin(), high = nucleus_.end();
  double before = 0.0;  // weight of all in front of `low`; those behind `high` are lighter than the cut
  while (static_cast<size_t>(high - low) > kFew) {
    const auto middle = low + (high - low) / 2;
    std::nth_element(low, middle, high, heavier);
    double half = 0.0;
    for (auto c = low; c != middle; ++c) half += c->weight;
    if (before + half >= wanted) {
      high = middle;
    } else {
      low = middle;
      before += half;
    }
  }
  std::sort(low, high, heavier);
  auto last = low;
  for (before += low->weight; last + 1 != high && before < wanted; before += last->weight) ++last;
  const Candidate cut = *last;
  std::erase_if(candidates_, [&](const Candidate& c) { return heavier(cut, c); });
}

std::int64_t Sampler::pick(std::span<float> logits, std::span<const std::int64_t> seen, std::uint64_t sequence,
                           std::uint64_t step) {
  penalize(logits, seen);
  if (temperature_ == 0.0) return largest_logit(logits);
  collect(logits);
  double left = uniform_of_step(random_, sequence, step) * total();
  for (const Candidate& c : candidates_) {
    left -= c.weight;
    if (left < 0.0) return c.id;
  }
  // Rounding can leave a crumb: it belongs to the last token that can be drawn.
  const auto last =
      std::find_if(candidates_.rbegin(), candidates_.rend(), [](const Candidate& c) { return c.weight > 0; });
  return last->id;
}

std::vector<TokenProbability> Sampler::distribution(std::span<float> logits, std::span<const std::int64_t> seen) {
  penalize(logits, seen);
  if (temperature_ == 0.0) return {{largest_logit(logits), 1.0}};
  collect(logits);
  const double sum = total();
  std::vector<TokenProbability> out;
  for (const Candidate& c : candidates_) out.push_back({c.id, c.weight / sum});
  return out;
}

}  // namespace weft::model
