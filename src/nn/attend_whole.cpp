#include "nn/attend_whole.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "nn/products.h"
#include "nn/recorded.h"

namespace weft::nn {
namespace {

/// The sequences of `queries` over those of `keys`.
AttendCall whole_call(const Attention& a, const Layout& queries, const Layout& keys, const Run& run) {
  AttendCall call;
  call.attention = &a;
  for (size_t i = 0; i < queries.lengths.size(); ++i)
    call.sequences.push_back(
        {queries.offsets[i], queries.lengths[i], keys.offsets[i], keys.lengths[i], /*bias=*/nullptr});
  call.threads = run.threads;
  return call;
}

}  // namespace

bool attends_whole(const std::vector<Tensor>& sources, const Run& run) {
  const Layout& layout = run.layout;
  if (run.cache != nullptr || !sources[0].is_cpu() || sources[0].scalar_type() != at::kFloat) return false;
  if (std::any_of(layout.past.begin(), layout.past.end(), [](std::int64_t past) { return past != 0; })) return false;
  return std::any_of(sources.begin(), sources.end(), records) || layout.spans().size() > 1;
}

bool bias_is_trained(const Attention& a, const StackState& state) {
  return a.relative_bias && !state.relative.empty() && records(state.relative.begin()->second);
}

Tensor attend_whole(const Attention& a, const StackState& state, const std::vector<Tensor>& sources, const Run& run) {
  AttendCall call = whole_call(a, run.layout, run.layout, run);
  call.causal = a.causal;
  if (a.rope >= 0) {
    const Angles& angles = state.angles[static_cast<size_t>(a.rope)];
    call.cos = angles.cos, call.sin = angles.sin;
  }
  if (a.relative_bias)
    for (auto& sequence : call.sequences) {
      call.biases.push_back(state.relative.at({sequence.queries, 0}).contiguous());
      sequence.bias = call.biases.back().const_data_ptr<float>();
    }
  return recorded_attention(call, sources);
}

Tensor attend_across(const Attention& a, const std::vector<Tensor>& sources, const Layout& keys, const Run& run) {
  return recorded_attention(whole_call(a, run.layout, keys, run), sources);
}

}  // namespace weft::nn
