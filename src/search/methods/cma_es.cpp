// CMA-ES with a full covariance matrix.
#include "search/cma.h"
#include "search/methods/methods.h"

namespace weft::search {

std::unique_ptr<Engine> make_cma_es(const Problem& box, const OptimizerOptions& options) {
  check_square(box, "cma_es");
  return std::make_unique<CmaEngine>(box, cma_start(CmaKind::kFull, box, options, "cma_es"));
}

}  // namespace weft::search
