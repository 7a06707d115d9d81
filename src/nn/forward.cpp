#include "nn/forward.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "nn/apply.h"
#include "nn/expert_data.h"
#include "nn/products.h"

namespace weft::nn {

namespace {

/// h + x, in h's memory where no gradient needs it.
Tensor add_residual(const Tensor& h, const Tensor& x) { return records(h) || records(x) ? h + x : h.add_(x); }

Tensor run_mlp(const Mlp& mlp, const Tensor& x, const Run& run) {
  const std::vector<Tensor> up = apply(mlp.up, x, run);
  if (!mlp.gated) return apply_one(mlp.down, activate(mlp.activation, up[0]), run);
  const Tensor gated =
      up.size() == 1 ? activate_halves(mlp.activation, up[0]) : activate_gate(mlp.activation, up[0], up[1]);
  return apply_one(mlp.down, gated, run);
}

Tensor maybe_normalize(const Norm& norm, const Tensor& x, const Run& run) {
  return norm.present() ? normalize(norm, x, run) : x;
}

/// A block whose norms stand before its parts (and, where there are such, behind them).
Tensor pre_layer(const Layer& layer, const StackState& state, int index, Tensor h, const Run& run) {
  const Tensor a = normalize(layer.before_attention, h, run);
  const Tensor attended =
      maybe_normalize(layer.after_attention, self_attention(layer.attention, state, index, a, run), run);
  h = add_residual(layer.residual_from_norm ? a : h, attended);
  if (layer.cross.present())
    h = add_residual(h, cross_attention(layer.cross, index, normalize(layer.before_cross, h, run), run));
  const Tensor m = normalize(layer.before_mlp, h, run);
  return add_residual(layer.residual_from_norm ? m : h,
                      maybe_normalize(layer.after_mlp, run_mlp(layer.mlp, m, run), run));
}

Tensor post_layer(const Layer& layer, const StackState& state, int index, Tensor h, const Run& run) {
  const Tensor attended = self_attention(layer.attention, state, index, h, run);
  h = normalize(layer.after_attention, add_residual(h, attended), run);
  const Tensor fed = run_mlp(layer.mlp, h, run);
  return normalize(layer.after_mlp, add_residual(h, fed), run);
}

Tensor parallel_layer(const Layer& layer, const StackState& state, int index, Tensor h, const Run& run) {
  const Tensor attended = self_attention(layer.attention, state, index, normalize(layer.before_attention, h, run), run);
  const Tensor fed = run_mlp(layer.mlp, normalize(layer.before_mlp, h, run), run);
  return add_residual(add_residual(h, attended), fed);
}

/// T5's bucket of key - query (Raffel et al. 2020, arXiv 1910.10683): exact near zero, logarithmic further out.
Tensor bucket_of(const RelativeBias& relative, Tensor distance) {
  std::int64_t buckets = relative.buckets;
  Tensor out = at::zeros_like(distance);
  if (relative.bidirectional) {
    buckets /= 2;
    out = (distance > 0).to(at::kLong) * buckets;
    distance = distance.abs();
  } else {
    distance = (-distance).clamp_min(0);
  }
  const std::int64_t exact = buckets / 2;
  const double range = std::log(static_cast<double>(relative.max_distance) / static_cast<double>(exact));
  const Tensor far =
      (at::log(distance.to(at::kFloat) / static_cast<double>(exact)) / range * static_cast<double>(buckets - exact))
          .to(at::kLong);
  return out + at::where(distance < exact, distance, (far + exact).clamp_max(buckets - 1));
}

/// T5's bias [heads, length, past + length] of queries after `past` tokens.
Tensor relative_bias(const RelativeBias& relative, std::int64_t length, std::int64_t past, const Run& run,
                     const c10::Device& device) {
  const auto options = at::TensorOptions().dtype(at::kLong).device(device);
  const Tensor key = at::arange(past + length, options).unsqueeze(0);
  const Tensor query = at::arange(past, past + length, options).unsqueeze(1);
  Run plain = run;  // the ids are no tokens: nothing that experts could act on
  plain.experts = nullptr;
  const Tensor ids = bucket_of(relative, key - query).reshape({-1});
  return look_up(relative.table, ids, plain).view({length, past + length, -1}).permute({2, 0, 1}).contiguous();
}

StackState prepare(const Stack& stack, const Tensor& hidden, const Run& run) {
  StackState state{stack, {}, {}};
  if (!stack.ropes.empty()) {
    const Tensor positions = run.layout.positions().to(hidden.device()),
                 totals = run.layout.totals().to(hidden.device());
    for (const Rope& rope : stack.ropes) state.angles.push_back(angles_of(rope, positions, totals));
  }
  if (stack.relative.table.present())
    for (const Layout::Span span : run.layout.spans()) {
      const auto at = static_cast<size_t>(span.first);
      const std::pair key(run.layout.lengths[at], run.layout.past[at]);
      if (state.relative.find(key) == state.relative.end())
        state.relative.emplace(key, relative_bias(stack.relative, key.first, key.second, run, hidden.device()));
    }
  return state;
}

/// Rows of the table of positions, int64 [tokens].
Tensor position_rows(const Input& input, const Tensor& ids, const Layout& layout) {
  const Tensor rows = layout.positions().to(ids.device()) + input.position_offset;
  if (input.unplaced < 0) return rows;
  const Tensor skipped = ids == input.unplaced;
  if (!skipped.any().item<bool>()) return rows;
  // Every token stands as many rows earlier as its sequence has skipped ones so far.
  const Tensor before = skipped.to(at::kLong).cumsum(0);
  const Tensor starts = at::tensor(at::ArrayRef<std::int64_t>(layout.offsets), at::kLong).to(ids.device());
  const Tensor of_earlier = at::constant_pad_nd(before, {1, 0}).index_select(0, starts);
  const Tensor own = before - of_earlier.index_select(0, layout.sequence_of_token().to(ids.device()));
  return at::where(skipped, input.position_offset - 1, rows - own);
}

Tensor run_layer(const Layer& layer, const StackState& state, int index, const Tensor& hidden, const Run& run) {
  switch (layer.order) {
    case Layer::Order::kPre: return pre_layer(layer, state, index, hidden, run);
    case Layer::Order::kPost: return post_layer(layer, state, index, hidden, run);
    case Layer::Order::kParallel: return parallel_layer(layer, state, index, hidden, run);
  }
  return hidden;
}

bool group_is_adapted(const LinearGroup& group, const Experts::Data& experts) {
  return group.present() && experts.groups[static_cast<size_t>(group.index)].any;
}

/// True if any expert acts in the block. Replaced parameters may be anywhere.
bool layer_is_adapted(const Layer& layer, const Run& run) {
  if (run.experts == nullptr) return false;
  if (!run.experts->overrides.empty()) return true;
  const LinearGroup* groups[] = {&layer.attention.qkv, &layer.attention.out, &layer.cross.qkv, &layer.cross.cross_kv,
                                 &layer.cross.out,     &layer.mlp.up,        &layer.mlp.down};
  return std::any_of(std::begin(groups), std::end(groups),
                     [&](const LinearGroup* group) { return group_is_adapted(*group, *run.experts); });
}

}  // namespace

Tensor embed(const Input& input, const Tensor& ids, const Tensor& types, const Run& run) {
  Tensor h = look_up(input.tokens, ids, run);
  if (input.scale != 1.0) h = h * static_cast<float>(input.scale);
  if (input.project.present()) h = apply_one(input.project, h, run);
  if (input.types.present()) h = h + look_up(input.types, types.defined() ? types : at::zeros_like(ids), run);
  if (input.positions.present()) h = h + look_up(input.positions, position_rows(input, ids, run.layout), run);
  return maybe_normalize(input.norm, h, run);
}

bool input_is_shared(const Input& input, const Run& run) {
  if (run.experts == nullptr) return true;
  for (const Embedding* e : {&input.tokens, &input.positions, &input.types})
    if (e->present() && run.experts->embeddings[static_cast<size_t>(e->index)].any()) return false;
  const bool projected = input.project.present() && group_is_adapted(input.project, *run.experts);
  return run.experts->overrides.empty() && !projected;
}

size_t first_adapted_layer(const Stack& stack, const Run& run) {
  size_t first = 0;
  while (first < stack.layers.size() && !layer_is_adapted(stack.layers[first], run)) ++first;
  return first;
}

Tensor run_layers(const Stack& stack, Tensor hidden, const Run& run, size_t begin, size_t end) {
  if (begin == end) return hidden;
  const StackState state = prepare(stack, hidden, run);
  for (size_t i = begin; i < end; ++i) hidden = run_layer(stack.layers[i], state, static_cast<int>(i), hidden, run);
  return hidden;
}

Tensor finish_stack(const Stack& stack, const Tensor& hidden, const Run& run) {
  return maybe_normalize(stack.final_norm, hidden, run);
}

Tensor run_stack(const Stack& stack, Tensor hidden, const Run& run) {
  size_t first = 0;
  if (hidden.size(0) != run.layout.tokens()) {
    Run shared = run;
    shared.layout = run.layout.head(run.layout.sequences() / run.copies);
    shared.experts = nullptr, shared.gate = nullptr;
    first = first_adapted_layer(stack, run);
    hidden = run_layers(stack, hidden, shared, 0, first).repeat({run.copies, 1});
  }
  return finish_stack(stack, run_layers(stack, hidden, run, first, stack.layers.size()), run);
}

Tensor project(const Network& network, const Tensor& states, const Run& run) {
  Tensor h = network.project_out.present() ? apply_one(network.project_out, states, run) : states;
  if (network.logit_scale != 1.0) h = h * network.logit_scale;
  Tensor logits = apply_one(network.head, h, run);
  if (network.logit_softcap > 0) logits = at::tanh(logits / network.logit_softcap) * network.logit_softcap;
  return logits;
}

}  // namespace weft::nn
