#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "weft/core/random.h"
#include "weft/model/generate.h"

namespace weft::model {

/// A token that may be drawn, and its probability.
struct TokenProbability {
  std::int64_t id = 0;
  double probability = 0.0;
};

/**
 * Chooses tokens from logits as GenerateOptions say, which must be in range (check_sampling). Keeps buffers between
 * calls; not thread-safe.
 */
class Sampler {
 public:
  explicit Sampler(const GenerateOptions& options);

  /**
   * The token of `step` of sequence number `sequence`. `seen`: the ids that the penalty acts on, each once; their
   * logits are changed in place. @throws InputError when no logit is finite, or any is NaN or +Inf.
   */
  std::int64_t pick(std::span<float> logits, std::span<const std::int64_t> seen, std::uint64_t sequence,
                    std::uint64_t step);
  /// What pick() draws from, by id; greedy: one token.
  std::vector<TokenProbability> distribution(std::span<float> logits, std::span<const std::int64_t> seen);

 private:
  struct Candidate {
    std::int64_t id;
    double weight;  ///< exp((logit - largest logit) / temperature)
  };

  void penalize(std::span<float> logits, std::span<const std::int64_t> seen) const;
  void collect(std::span<const float> logits);
  float smallest_of_top_k(std::span<const float> logits);
  void keep_nucleus();
  double total() const;

  double temperature_, top_p_;
  std::int64_t top_k_;
  float penalty_;
  Philox random_;
  std::vector<Candidate> candidates_, nucleus_;  ///< candidates by id
  std::vector<float> largest_;
};

/// The index of the largest number, of equals the first. @throws InputError as Sampler::pick().
std::int64_t largest_logit(std::span<const float> logits);

/// @throws UsageError naming the sampling option that is out of range.
void check_sampling(const GenerateOptions& options);

}  // namespace weft::model
