#include "nn/lower_states.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "nn/forward.h"

namespace weft::nn {

Tensor LowerStates::find(const std::vector<std::int64_t>& ids) const {
  const std::lock_guard lock(mutex_);
  const auto at = held_.find(ids);
  return at == held_.end() ? Tensor() : at->second;
}

void LowerStates::keep(const std::vector<std::int64_t>& ids, const Tensor& states) {
  const std::lock_guard lock(mutex_);
  held_.emplace(ids, states);
}

Tensor run_above(const Input& input, const Stack& stack, const Tensor& ids, const Run& run, LowerStates& lower) {
  const size_t first = input_is_shared(input, run) ? first_adapted_layer(stack, run) : 0;
  if (first == 0) return run_stack(stack, embed(input, ids, {}, run), run);
  const Tensor numbers = ids.contiguous();
  const std::int64_t* id = numbers.const_data_ptr<std::int64_t>();
  std::vector<Tensor> rows;
  for (size_t i = 0; i < run.layout.lengths.size(); ++i) {
    const std::int64_t from = run.layout.offsets[i], length = run.layout.lengths[i];
    const std::vector<std::int64_t> sequence(id + from, id + from + length);
    Tensor states = lower.find(sequence);
    if (!states.defined()) {
      const c10::NoGradGuard no_gradients;
      Run alone = run;
      alone.layout = Layout::of({length});
      alone.experts = nullptr, alone.gate = nullptr;
      states = run_layers(stack, embed(input, numbers.narrow(0, from, length), {}, alone), alone, 0, first);
      lower.keep(sequence, states);
    }
    rows.push_back(std::move(states));
  }
  return finish_stack(stack, run_layers(stack, at::cat(rows), run, first, stack.layers.size()), run);
}

}  // namespace weft::nn
