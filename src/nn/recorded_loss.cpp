#include <ATen/ATen.h>

#include <algorithm>

#include "linalg/row_gradients.h"
#include "nn/products.h"
#include "nn/recorded.h"
#include "nn/recorded_state.h"

namespace weft::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Logits that exist at a time.
constexpr std::int64_t kLogitsOfSlice = std::int64_t{1} << 21;

/// Rows [first, first + rows of `scores`) of nll; with `gradient` scores become softmax − one-hot.
void fill_likelihood(Tensor& scores, const Tensor& targets, std::int64_t first, Tensor& nll, bool gradient) {
  linalg::LikelihoodRows io;
  io.scores = scores.mutable_data_ptr<float>();
  io.ld = scores.stride(0), io.rows = scores.size(0), io.cols = scores.size(1);
  io.target = targets.const_data_ptr<std::int64_t>() + first;
  io.nll = nll.mutable_data_ptr<float>() + first;
  io.gradient = gradient;
  linalg::likelihood(io);
}

/// The likelihoods and, where `d_states` is defined, their gradients by the states.
Tensor sliced_likelihood(const Linear& head, const Tensor& states, const Tensor& targets, Tensor& d_states) {
  const std::int64_t count = states.size(0);
  const std::int64_t slice = std::clamp<std::int64_t>(kLogitsOfSlice / head.out, 16, std::max<std::int64_t>(16, count));
  Tensor nll = at::empty({count}, states.options());
  Tensor buffer = at::empty({std::min(slice, count), head.out}, states.options());
  for (std::int64_t first = 0; first < count; first += slice) {
    const std::int64_t n = std::min(slice, count - first);
    Tensor scores = buffer.narrow(0, 0, n);
    if (head.bias.defined()) scores.copy_(head.bias);
    multiply_into(scores, states.narrow(0, first, n), head.weight, head.transposed, head.bias.defined());
    fill_likelihood(scores, targets, first, nll, d_states.defined());
    if (!d_states.defined()) continue;
    Tensor gradient = d_states.narrow(0, first, n);
    multiply_into(gradient, scores, head.weight, !head.transposed, /*accumulate=*/false);
  }
  return nll;
}

/// Makes the gradient while the logits are there: what is kept is as large as the states.
struct HeadFunction : torch::autograd::Function<HeadFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& states, const Tensor& targets, const Linear& head) {
    Tensor d_states = at::empty(states.sizes(), states.options());
    Tensor nll = sliced_likelihood(head, states, targets, d_states);
    context->save_for_backward({d_states});
    return nll;
  }
  static variable_list backward(AutogradContext* context, const variable_list& dys) {
    return {context->get_saved_variables()[0] * dys[0].unsqueeze(1), Tensor(), Tensor()};
  }
};

struct LogitsFunction : torch::autograd::Function<LogitsFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& logits, const Tensor& targets) {
    Tensor scores = at::empty(logits.sizes(), logits.options()).copy_(logits);
    Tensor nll = at::empty({logits.size(0)}, logits.options());
    fill_likelihood(scores, targets, 0, nll, /*gradient=*/true);
    context->save_for_backward({scores});
    return nll;
  }
  static variable_list backward(AutogradContext* context, const variable_list& dys) {
    return {context->get_saved_variables()[0] * dys[0].unsqueeze(1), Tensor()};
  }
};

}  // namespace

Tensor recorded_likelihood(const Linear& head, const Tensor& states, const Tensor& targets) {
  const Tensor rows = states.contiguous(), chosen = targets.contiguous();
  if (records(states)) return HeadFunction::apply(rows, chosen, head);
  Tensor none;
  return sliced_likelihood(head, rows, chosen, none);
}

Tensor recorded_likelihood_of(const Tensor& logits, const Tensor& targets) {
  return LogitsFunction::apply(logits, targets.contiguous());
}

}  // namespace weft::nn
