// CMA-ES with a diagonal covariance matrix (Ros and Hansen 2008): linear in the dimension, faster where weights hardly
// depend on each other.
#include "search/cma.h"
#include "search/methods/methods.h"

namespace weft::search {

std::unique_ptr<Engine> make_sep_cma_es(const Problem& box, const OptimizerOptions& options) {
  CmaStart start;
  start.kind = CmaKind::kSeparable;
  if (options.step > 0) start.sigma = options.step;
  if (options.population > 0) start.population = population_of(options, box, 0, 2, "sep_cma_es");
  return std::make_unique<CmaEngine>(box, start);
}

}  // namespace weft::search
