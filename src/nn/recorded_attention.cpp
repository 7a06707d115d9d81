#include <ATen/ATen.h>

#include "linalg/attend.h"
#include "nn/products.h"
#include "nn/recorded.h"
#include "nn/recorded_state.h"

namespace weft::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What stays of a call: the description of the heads by value, since the model may be gone.
struct AttendState {
  linalg::AttendShape shape;
  std::vector<linalg::AttendSequence> sequences;
  std::vector<Tensor> biases;
  std::vector<float> slopes;
  Tensor cos, sin;
  QkvLayout layout = QkvLayout::kSeparate;
  int threads = 0;
};

linalg::AttendShape shape_of(const AttendState& state) {
  linalg::AttendShape shape = state.shape;
  shape.slopes = state.slopes.empty() ? nullptr : state.slopes.data();
  if (!state.cos.defined()) return shape;
  shape.cos = state.cos.const_data_ptr<float>(), shape.sin = state.sin.const_data_ptr<float>();
  shape.turned = 2 * state.cos.size(1);
  return shape;
}

/// Where queries, keys and values are in the sources, or their gradients in tensors of the same shapes.
template <class Number>
struct SourceHeads {
  linalg::HeadRows<Number> q, k, v;
};

template <class Number, class Data>
SourceHeads<Number> heads_in(const AttendState& state, const std::vector<Tensor>& sources, const Data& data) {
  const std::int64_t d = state.shape.head_dim, heads = state.shape.heads, kv = state.shape.kv_heads;
  const auto whole = [&](const Tensor& source) { return linalg::HeadRows<Number>{data(source), source.stride(0), d}; };
  if (sources.size() == 3) return {whole(sources[0]), whole(sources[1]), whole(sources[2])};
  SourceHeads<Number> out{whole(sources[0]), whole(sources[0]), whole(sources[0])};
  if (state.layout == QkvLayout::kPerHead) {
    out.k.data += d, out.v.data += 2 * d;
    out.q.head = out.k.head = out.v.head = 3 * d;
  } else {
    out.k.data += heads * d, out.v.data += (heads + kv) * d;
  }
  return out;
}

linalg::AttendInputs inputs_in(const AttendState& state, const std::vector<Tensor>& sources) {
  const auto from = heads_in<const float>(state, sources, [](const Tensor& t) { return t.const_data_ptr<float>(); });
  return {from.q, from.k, from.v};
}

Tensor attend_rows(const AttendState& state, const std::vector<Tensor>& sources, float* log_sum) {
  const auto& shape = state.shape;
  Tensor out = at::empty({sources[0].size(0), shape.heads * shape.head_dim}, sources[0].options());
  linalg::attend(shape_of(state), state.sequences, inputs_in(state, sources), out.mutable_data_ptr<float>(), log_sum,
                 state.threads);
  return out;
}

struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  static Tensor forward(AutogradContext* context, at::TensorList sources, const AttendState& state) {
    Tensor log_sum = at::empty({sources[0].size(0), state.shape.heads}, sources[0].options());
    Tensor out = attend_rows(state, sources.vec(), log_sum.mutable_data_ptr<float>());
    variable_list kept(sources.begin(), sources.end());
    kept.push_back(out), kept.push_back(log_sum);
    context->save_for_backward(std::move(kept));
    keep_state(*context, state);
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& dys) {
    const AttendState& state = kept_state<AttendState>(*context);
    variable_list kept = context->get_saved_variables();
    const Tensor log_sum = kept.back(), out = kept[kept.size() - 2], dy = dys[0].contiguous();
    kept.resize(kept.size() - 2);
    variable_list gradients;
    for (const Tensor& source : kept) gradients.push_back(at::empty(source.sizes(), source.options()));
    linalg::AttendGradients io;
    io.out = out.const_data_ptr<float>(), io.log_sum = log_sum.const_data_ptr<float>();
    io.d_out = {dy.const_data_ptr<float>(), dy.size(1), state.shape.head_dim};
    const auto to = heads_in<float>(state, gradients, [](const Tensor& t) { return t.mutable_data_ptr<float>(); });
    io.dq = to.q, io.dk = to.k, io.dv = to.v;
    linalg::attend_gradient(shape_of(state), state.sequences, inputs_in(state, kept), io, state.threads);
    gradients.emplace_back();
    return gradients;
  }
};

}  // namespace

Tensor recorded_attention(const AttendCall& call, const std::vector<Tensor>& sources) {
  const Attention& a = *call.attention;
  AttendState state;
  state.shape.heads = a.heads, state.shape.kv_heads = a.kv_heads, state.shape.head_dim = a.head_dim;
  state.shape.scale = static_cast<float>(a.scale), state.shape.softcap = static_cast<float>(a.softcap);
  state.shape.causal = call.causal, state.shape.window = a.window;
  state.sequences = call.sequences;
  state.biases = call.biases;
  state.slopes = a.alibi;
  if (call.cos.defined()) state.cos = call.cos.contiguous(), state.sin = call.sin.contiguous();
  state.layout = a.layout;
  state.threads = call.threads;
  std::vector<Tensor> rows;
  bool recorded = false;
  for (const Tensor& source : sources) {
    rows.push_back(source.stride(1) == 1 ? source : source.contiguous());
    recorded = recorded || records(source);
  }
  return recorded ? AttentionFunction::apply(at::TensorList(rows), state) : attend_rows(state, rows, nullptr);
}

}  // namespace weft::nn
