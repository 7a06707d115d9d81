// The default: few, well-spent evaluations. Where gradients can be had, quasi-Newton paths under a normal prior,
// averaged over parts of the examples when the budget allows; where not, screening or an evolution strategy, by how
// many weights there are and how many evaluations.
#include <cmath>

#include "search/methods/methods.h"

namespace weft::search {

namespace {

/// Fewer gradients than this lead nowhere.
constexpr std::int64_t kFewestGradients = 3;
/// A path solves systems of this many unknowns.
constexpr size_t kMostUnknowns = 600;

}  // namespace

std::unique_ptr<Engine> make_auto(const Problem& box, const OptimizerOptions& options) {
  const double n = static_cast<double>(box.size()), budget = static_cast<double>(box.budget);
  if (box.gradients && box.budget >= kFewestGradients * box.gradient_cost && box.size() <= kMostUnknowns)
    return make_bagged_paths(box, options);
  const double generation = 4 + std::floor(3 * std::log(n));
  // Enough for every ingredient alone, some pairs and a few generations.
  if (box.singles.size() > 1 && budget >= 2 * static_cast<double>(box.singles.size()) + 2 * generation)
    return make_screened(box, options);
  if (budget < 3 * generation) return make_one_plus_one(box, options);
  return n > 100 ? make_sep_cma_es(box, options) : make_cma_es(box, options);
}

}  // namespace weft::search
