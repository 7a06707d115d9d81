#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "linalg/decode.h"
#include "nn/apply.h"
#include "nn/attend_whole.h"
#include "nn/forward.h"

namespace weft::nn {

namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
constexpr std::int64_t kMaskElements = std::int64_t{1} << 24;  // of one slice of queries

/// Queries, keys and values, [tokens, heads, head_dim].
struct Heads {
  Tensor q, k, v;
};

/// Queries, keys and values inside what the projections gave.
Heads heads_in(const Attention& a, const std::vector<Tensor>& y) {
  const std::int64_t tokens = y[0].size(0), d = a.head_dim;
  if (a.layout == QkvLayout::kSeparate)
    return {y[0].view({tokens, a.heads, d}), y[1].view({tokens, a.kv_heads, d}), y[2].view({tokens, a.kv_heads, d})};
  if (a.layout == QkvLayout::kPerHead) {
    const Tensor all = y[0].view({tokens, a.heads, 3, d});
    return {all.select(2, 0), all.select(2, 1), all.select(2, 2)};
  }
  const Tensor all = y[0].view({tokens, a.heads + 2 * a.kv_heads, d});
  return {all.narrow(1, 0, a.heads), all.narrow(1, a.heads, a.kv_heads),
          all.narrow(1, a.heads + a.kv_heads, a.kv_heads)};
}

/// The norm of every head.
Tensor normalize_heads(const Norm& norm, const Tensor& x, const Run& run) {
  return norm.present() ? normalize(norm, x.reshape({-1, x.size(2)}), run).view(x.sizes()) : x;
}

/// [n · length, heads, d] -> [n, heads, length, d].
Tensor by_head(const Tensor& x, std::int64_t n) {
  return x.reshape({n, x.size(0) / n, x.size(1), x.size(2)}).transpose(1, 2);
}

/// Every kv head once per query head that reads it.
Tensor repeat_heads(const Tensor& x, std::int64_t heads) {
  const std::int64_t times = heads / x.size(1);
  if (times == 1) return x;
  return x.unsqueeze(2)
      .expand({x.size(0), x.size(1), times, x.size(2), x.size(3)})
      .reshape({x.size(0), heads, x.size(2), x.size(3)});
}

/// What is added to the scores of queries [first, first + count) after `past` tokens, [1 or heads, count, keys].
Tensor score_bias(const Attention& a, const Tensor& relative, std::int64_t first, std::int64_t count, std::int64_t past,
                  std::int64_t keys, const at::TensorOptions& options) {
  const Tensor query = at::arange(past + first, past + first + count, options.dtype(at::kLong)).unsqueeze(1);
  const Tensor key = at::arange(keys, options.dtype(at::kLong)).unsqueeze(0);
  Tensor bias = relative.defined() ? relative.narrow(1, first, count) : at::zeros({1, count, keys}, options);
  if (!a.alibi.empty()) {
    const Tensor slope = at::tensor(at::ArrayRef<float>(a.alibi)).to(options.device()).view({-1, 1, 1});
    bias = bias + slope * (key - query).to(at::kFloat);
  }
  if (a.causal) bias = bias.masked_fill(key > query, kMinusInfinity);
  if (a.window > 0) bias = bias.masked_fill(key <= query - a.window, kMinusInfinity);
  return bias;
}

/// Whether every score is surely finite. On CPU libtorch's kernel turns scores that are not into zeros, and the damage
/// would stay unseen.
bool scores_are_finite(const Attention& a, const Tensor& q, const Tensor& k) {
  constexpr double kLimit = 1e37;  // float32 ends at 3.4e38
  if (!q.is_cpu()) return true;
  const auto norm = [](const Tensor& x) { return at::linalg_vector_norm(x.detach()).item().toDouble(); };
  return norm(q) * norm(k) * std::abs(a.scale) < kLimit;  // false for NaN
}

/// Attention of q [n, heads, length, d] after `past` tokens to k, v [n, kv heads, keys, d].
Tensor attention_core(const Attention& a, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& relative,
                      std::int64_t past) {
  const std::int64_t length = q.size(2), keys = k.size(2);
  const Tensor all_k = repeat_heads(k, a.heads), all_v = repeat_heads(v, a.heads);
  const bool cut = a.window > 0 && keys > a.window;
  const bool by_kernel = a.softcap == 0 && scores_are_finite(a, q, k);
  const bool biased = relative.defined() || !a.alibi.empty() || cut || (a.causal && past > 0 && length > 1);
  if (by_kernel && !biased)
    return at::scaled_dot_product_attention(q, all_k, all_v, {}, 0.0, a.causal && length > 1, a.scale);
  const std::int64_t rows = relative.defined() || !a.alibi.empty() ? a.heads : 1;
  const std::int64_t slice =
      std::clamp(kMaskElements / std::max<std::int64_t>(1, rows * keys), std::int64_t{1}, length);
  std::vector<Tensor> out;
  for (std::int64_t first = 0; first < length; first += slice) {
    const std::int64_t count = std::min(slice, length - first);
    const Tensor bias = score_bias(a, relative, first, count, past, keys, q.options()).unsqueeze(0);
    const Tensor some = q.narrow(2, first, count);
    if (by_kernel) {
      out.push_back(at::scaled_dot_product_attention(some, all_k, all_v, bias, 0.0, false, a.scale));
      continue;
    }
    Tensor score = at::matmul(some, all_k.transpose(2, 3)) * a.scale;
    if (a.softcap != 0) score = at::tanh(score / a.softcap) * a.softcap;
    out.push_back(at::matmul(at::softmax(score + bias, -1), all_v));
  }
  return out.size() == 1 ? out.front() : at::cat(out, 2);
}

/// T5's bias of queries after `past` tokens, or undefined.
Tensor relative_of(const Attention& a, const StackState& state, std::int64_t length, std::int64_t past) {
  return a.relative_bias ? state.relative.at({length, past}) : Tensor();
}

/// Rotated keys of sequence `i`, [1, kv heads, tokens, d], from unrotated ones: what a scaling that depends on the
/// length asks for.
Tensor rotate_cached(const Rope& rope, const Tensor& k, std::int64_t tokens) {
  const auto options = at::TensorOptions().dtype(at::kLong).device(k.device());
  const Angles angles = angles_of(rope, at::arange(tokens, options), at::full({tokens}, tokens, options));
  return rotate(k.squeeze(0).transpose(0, 1), angles).transpose(0, 1).unsqueeze(0);
}

bool single_steps(const Layout& layout) {
  return std::all_of(layout.lengths.begin(), layout.lengths.end(), [](std::int64_t n) { return n == 1; });
}

/// Row i of `from` [n, kv heads, d] goes to place `past` of sequence i: the heads' rows, without operators.
void append_token(const Tensor& to, const Tensor& from, std::int64_t i, std::int64_t past) {
  const float* source = from.const_data_ptr<float>() + i * from.stride(0);
  float* place = to.mutable_data_ptr<float>() + i * to.stride(0) + past * to.stride(2);
  for (std::int64_t h = 0; h < from.size(1); ++h)
    std::memcpy(place + h * to.stride(1), source + h * from.stride(1),
                static_cast<size_t>(from.size(2)) * sizeof(float));
}

/// Writes the new keys and values behind those of each sequence.
void append(KvCache::Layer& held, const KvCache& cache, const Tensor& k, const Tensor& v, const Layout& layout) {
  const std::int64_t n = layout.sequences();
  if (!held.k.defined()) {
    held.k = at::empty({n, k.size(1), cache.capacity, k.size(2)}, k.options());
    held.v = at::empty_like(held.k);
  }
  if (single_steps(layout) && k.is_cpu() && k.stride(2) == 1 && v.stride(2) == 1) {
    for (std::int64_t i = 0; i < n; ++i) {
      append_token(held.k, k, i, layout.past[static_cast<size_t>(i)]);
      append_token(held.v, v, i, layout.past[static_cast<size_t>(i)]);
    }
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(i);
    const auto place = [&](const Tensor& to, const Tensor& from) {
      to.select(0, i)
          .narrow(1, layout.past[at], layout.lengths[at])
          .copy_(from.narrow(0, layout.offsets[at], layout.lengths[at]).transpose(0, 1));
    };
    place(held.k, k);
    place(held.v, v);
  }
}

/// One new token per sequence against the cache, by our own kernel. q [n, heads, d] -> [n, heads · d].
Tensor decode(const Attention& a, const StackState& state, const KvCache::Layer& held, const Tensor& queries,
              const Run& run) {
  const Tensor q = queries.contiguous();
  const Tensor out = at::empty({q.size(0), a.heads * a.head_dim}, q.options());
  linalg::DecodeShape shape;
  shape.heads = a.heads, shape.kv_heads = a.kv_heads, shape.head_dim = a.head_dim;
  shape.scale = static_cast<float>(a.scale), shape.softcap = static_cast<float>(a.softcap);
  shape.slopes = a.alibi.empty() ? nullptr : a.alibi.data();
  std::vector<linalg::DecodeSequence> sequences(static_cast<size_t>(q.size(0)));
  std::vector<Tensor> alive;  // biases that the kernel reads
  for (size_t i = 0; i < sequences.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    linalg::DecodeSequence& s = sequences[i];
    s.keys = held.k.const_data_ptr<float>() + row * held.k.stride(0);
    s.values = held.v.const_data_ptr<float>() + row * held.v.stride(0);
    s.key_head = s.value_head = held.k.stride(1), s.key_token = s.value_token = held.k.stride(2);
    s.end = run.layout.past[i] + 1;
    s.begin = a.window > 0 ? std::max<std::int64_t>(0, s.end - a.window) : 0;
    s.query = q.const_data_ptr<float>() + row * a.heads * a.head_dim, s.query_head = a.head_dim;
    s.out = out.mutable_data_ptr<float>() + row * a.heads * a.head_dim, s.out_head = a.head_dim;
    if (!a.relative_bias) continue;
    alive.push_back(relative_of(a, state, 1, run.layout.past[i]).contiguous());
    s.bias = alive.back().const_data_ptr<float>(), s.bias_head = s.end;
  }
  linalg::decode_attention(shape, sequences, run.threads);
  return out;
}

/// Attention of all sequences of a batch; k, v [tokens, kv heads, d] are the new ones, or the cache has them all.
Tensor attend_spans(const Attention& a, const StackState& state, const Heads& heads, const KvCache::Layer* held,
                    const Rope* late, const Run& run) {
  const Layout& layout = run.layout;
  std::vector<Tensor> out;
  for (const Layout::Span span : layout.spans()) {
    const auto at = static_cast<size_t>(span.first);
    const std::int64_t first = layout.offsets[at], length = layout.lengths[at], past = layout.past[at];
    // Cached sequences one by one where keys still have to be turned.
    const std::int64_t step = late != nullptr ? 1 : span.last - span.first;
    for (std::int64_t i = span.first; i < span.last; i += step) {
      const std::int64_t from = first + (i - span.first) * length;
      const Tensor q = by_head(heads.q.narrow(0, from, step * length), step);
      Tensor k, v;
      if (held != nullptr) {
        k = held->k.narrow(0, i, step).narrow(2, 0, past + length);
        v = held->v.narrow(0, i, step).narrow(2, 0, past + length);
        if (late != nullptr) k = rotate_cached(*late, k, past + length);
      } else {
        k = by_head(heads.k.narrow(0, from, step * length), step);
        v = by_head(heads.v.narrow(0, from, step * length), step);
      }
      const Tensor y = attention_core(a, q, k, v, relative_of(a, state, length, past), past);
      out.push_back(y.transpose(1, 2).reshape({step * length, a.heads * a.head_dim}));
    }
  }
  return out.size() == 1 ? out.front() : at::cat(out, 0);
}

}  // namespace

Tensor self_attention(const Attention& a, const StackState& state, int index, const Tensor& x, const Run& run) {
  std::vector<Tensor> projected = apply(a.qkv, x, run);
  Heads heads = heads_in(a, projected);
  if (a.q_norm.present() || a.k_norm.present()) {
    heads.q = normalize_heads(a.q_norm, heads.q, run);
    heads.k = normalize_heads(a.k_norm, heads.k, run);
    projected = {heads.q.flatten(1), heads.k.flatten(1), heads.v.flatten(1)};
  }
  if (attends_whole(projected, run) && !bias_is_trained(a, state))
    return apply_one(a.out, attend_whole(a, state, projected, run), run);
  const Rope* rope = a.rope < 0 ? nullptr : &state.stack.ropes[static_cast<size_t>(a.rope)];
  const bool late = rope != nullptr && run.cache != nullptr && rope->depends_on_length();
  if (rope != nullptr) {
    const Angles& angles = state.angles[static_cast<size_t>(a.rope)];
    Tensor none;
    rotate_heads(heads.q, late ? none : heads.k, angles, run.threads);
  }
  KvCache::Layer* held = run.cache == nullptr ? nullptr : &run.cache->layers[static_cast<size_t>(index)];
  if (held != nullptr) append(*held, *run.cache, heads.k, heads.v, run.layout);
  const bool fresh = std::all_of(run.layout.past.begin(), run.layout.past.end(), [](auto n) { return n == 0; });
  Tensor y;
  if (held != nullptr && !fresh && !late && single_steps(run.layout) && x.is_cpu() && !at::GradMode::is_enabled())
    y = decode(a, state, *held, heads.q, run);
  else
    y = attend_spans(a, state, heads, fresh && !late ? nullptr : held, late ? rope : nullptr, run);
  return apply_one(a.out, y, run);
}

Tensor cross_attention(const Attention& a, int index, const Tensor& x, const Run& run) {
  const Layout& inner = *run.encoder;
  Tensor k, v;
  KvCache::Layer* held = run.cache == nullptr ? nullptr : &run.cache->layers[static_cast<size_t>(index)];
  if (held != nullptr && held->cross_k.defined()) {
    k = held->cross_k, v = held->cross_v;
  } else {
    Run other = run;
    other.layout = inner;
    const std::vector<Tensor> y = apply(a.cross_kv, run.encoder_states, other);
    k = y[0].view({-1, a.kv_heads, a.head_dim}), v = y[1].view({-1, a.kv_heads, a.head_dim});
    if (held != nullptr) held->cross_k = k, held->cross_v = v;
  }
  const Tensor asked = apply_one(a.qkv, x, run), q = asked.view({x.size(0), a.heads, a.head_dim});
  if (const std::vector<Tensor> sources = {asked, k.flatten(1), v.flatten(1)}; attends_whole(sources, run))
    return apply_one(a.out, attend_across(a, sources, inner, run), run);
  std::vector<Tensor> out;
  for (size_t i = 0; i < run.layout.lengths.size(); ++i) {
    const std::int64_t length = run.layout.lengths[i];
    const Tensor y = attention_core(a, by_head(q.narrow(0, run.layout.offsets[i], length), 1),
                                    by_head(k.narrow(0, inner.offsets[i], inner.lengths[i]), 1),
                                    by_head(v.narrow(0, inner.offsets[i], inner.lengths[i]), 1), {}, 0);
    out.push_back(y.transpose(1, 2).reshape({length, a.heads * a.head_dim}));
  }
  return apply_one(a.out, out.size() == 1 ? out.front() : at::cat(out, 0), run);
}

}  // namespace weft::nn
