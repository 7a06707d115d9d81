// CMA-ES with a full covariance matrix.
#include "search/cma.h"
#include "search/methods/methods.h"

namespace weft::search {

std::unique_ptr<Engine> make_cma_es(const Problem& box, const OptimizerOptions& options) {
  check_square(box, "cma_es");
  CmaStart start;
  start.kind = CmaKind::kFull;
  if (options.step > 0) start.sigma = options.step;
  if (options.population > 0) start.population = population_of(options, box, 0, 2, "cma_es");
  return std::make_unique<CmaEngine>(box, start);
}

}  // namespace weft::search
