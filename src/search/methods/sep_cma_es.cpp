// CMA-ES with a diagonal covariance matrix (Ros and Hansen 2008): linear in the dimension, faster where weights hardly
// depend on each other.
#include "search/cma.h"
#include "search/methods/methods.h"

namespace weft::search {

std::unique_ptr<Engine> make_sep_cma_es(const Problem& box, const OptimizerOptions& options) {
  return std::make_unique<CmaEngine>(box, cma_start(CmaKind::kSeparable, box, options, "sep_cma_es"));
}

}  // namespace weft::search
