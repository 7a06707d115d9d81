// CMA-ES whose covariance also learns from the worse half of a generation, with negative weights.
#include "search/cma.h"
#include "search/methods/methods.h"

namespace weft::search {

std::unique_ptr<Engine> make_active_cma_es(const Problem& box, const OptimizerOptions& options) {
  check_square(box, "active_cma_es");
  return std::make_unique<CmaEngine>(box, cma_start(CmaKind::kActive, box, options, "active_cma_es"));
}

}  // namespace weft::search
