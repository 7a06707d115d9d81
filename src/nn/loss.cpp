#include "nn/loss.h"

#include <ATen/ATen.h>

#include "nn/apply.h"
#include "nn/expert_data.h"
#include "nn/forward.h"
#include "nn/products.h"
#include "nn/recorded.h"

namespace weft::nn {
namespace {

/// True if the logits are states · Wᵀ and nothing else, so that slices of them will do.
bool head_is_plain(const Network& network, const Tensor& states, const Run& run) {
  const Linear& head = network.head.parts.front();
  const bool adapted = run.experts != nullptr && (run.experts->groups[static_cast<size_t>(network.head.index)].any ||
                                                  run.experts->find(head.name) != nullptr);
  return !adapted && !run.check && states.is_cpu() && network.logit_softcap <= 0 && readable(head.weight) &&
         !records(head.weight) && !records(head.bias);
}

}  // namespace

Tensor likelihood_of_states(const Network& network, const Tensor& states, const Tensor& targets, const Run& run) {
  if (head_is_plain(network, states, run)) {
    Tensor h = network.project_out.present() ? apply_one(network.project_out, states, run) : states;
    if (network.logit_scale != 1.0) h = h * network.logit_scale;
    return recorded_likelihood(network.head.parts.front(), h, targets);
  }
  const Tensor logits = project(network, states, run);
  if (logits.is_cpu() && records(logits)) return recorded_likelihood_of(logits, targets);
  const Tensor chosen = logits.gather(1, targets.unsqueeze(1)).squeeze(1);
  return at::logsumexp(logits, 1) - chosen;
}

}  // namespace weft::nn
