#pragma once

#include "weft/flow/search.h"

namespace weft::flow {

/// What is minimised: the examples' score and the regularisers.
class Penalty {
 public:
  /// `observations`: how many tokens or labels the score is a mean over, for the prior.
  Penalty(const SearchOptions& options, double observations);

  /// The score that an optimizer is told.
  double total(double score, const search::Point& point) const;
  /// Adds the regularisers' gradient.
  void add_gradient(const search::Point& point, search::Point& gradient) const;

 private:
  double l1_, l2_, uniform_, prior_;  ///< prior_: of Σ w²
};

/// True for a loss in nats, which a prior can be weighed against.
bool is_likelihood(const SearchOptions& options);

}  // namespace weft::flow
