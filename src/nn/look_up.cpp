#include <ATen/ATen.h>

#include "nn/apply.h"
#include "nn/mixing.h"
#include "nn/overrides.h"

namespace weft::nn {
namespace {

Tensor look_up_with_experts(const Embedding& table, const ModuleExperts& part, const Tensor& ids, const Run& run) {
  const SiteWeights weights(run, table.name, part.module, Tensor(), ids.size(0));
  Tensor y = part.override < 0 ? table.weight.index_select(0, ids).to(at::kFloat)
                               : replaced_rows(table, run.experts->overrides[static_cast<size_t>(part.override)],
                                               weights, ids, run.experts->names);
  if (part.base_factor.defined()) y = scale_base(y, part, weights);
  if (part.rank_sum() > 0)
    y = add_low_rank(y, part.a.index_select(0, ids).to(at::kFloat), part, weights, run.gate->rule());
  return add_extras(y, Tensor(), part, weights);
}

}  // namespace

Tensor look_up(const Embedding& table, const Tensor& ids, const Run& run) {
  const bool adapted =
      run.experts != nullptr && table.index >= 0 && run.experts->embeddings[static_cast<size_t>(table.index)].any();
  Tensor y = adapted ? look_up_with_experts(table, run.experts->embeddings[static_cast<size_t>(table.index)], ids, run)
                     : table.weight.index_select(0, ids).to(at::kFloat);
  check_finite(run, y, table.name);
  return y;
}

}  // namespace weft::nn
