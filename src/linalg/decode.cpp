#include "linalg/decode.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/crew.h"
#include "linalg/few_rows.h"
#include "linalg/versions.h"

namespace weft::linalg {

namespace decode_loops {
#define WEFT_LOOPS "linalg/decode.inl"
#include "linalg/versions.inl"
#undef WEFT_LOOPS
}  // namespace decode_loops

const std::vector<DecodeKernels>& all_decode_kernels() {
  static const std::vector<DecodeKernels> sets = decode_loops::supported<DecodeKernels>();
  return sets;
}

namespace {

/// Tokens in one piece of work. Fixed, so that results do not depend on the number of threads.
constexpr std::int64_t kDecodeStretch = 256;
/// Query heads done together; more of one kv head read the cache again.
constexpr std::int64_t kDecodeGroup = 16;
/// Fewer numbers of the cache than this are read before other threads have woken up.
constexpr std::int64_t kDecodeWorthSharing = 1 << 14;

std::int64_t stretches_of(const DecodeSequence& s) {
  return std::max<std::int64_t>((s.end - s.begin + kDecodeStretch - 1) / kDecodeStretch, 0);
}

/// Where the stretches of a sequence leave their results: per (head, stretch) the sum of values, then top and sum.
struct Partial {
  float* acc;
  float* top;
  float* sum;
};

class DecodeLoop {
 public:
  DecodeLoop(const DecodeKernels& loops, const DecodeShape& shape, std::span<const DecodeSequence> sequences)
      : loops_(loops), shape_(shape), sequences_(sequences) {
    std::int64_t slots = 0;
    starts_.reserve(sequences.size());
    for (const DecodeSequence& s : sequences) {
      starts_.push_back(slots);
      slots += stretches_of(s);
    }
    slots_ = slots;
    partial_.resize(static_cast<size_t>(slots * shape.heads * (shape.value_dim + 2)));
  }

  std::int64_t tasks() const { return slots_ * shape_.kv_heads; }

  void operator()(std::int64_t task) {
    const std::int64_t slot = task / shape_.kv_heads, kv_head = task % shape_.kv_heads;
    const auto after = std::upper_bound(starts_.begin(), starts_.end(), slot);
    const auto which = static_cast<size_t>(after - starts_.begin()) - 1;
    const DecodeSequence& s = sequences_[which];
    const std::int64_t begin = s.begin + (slot - starts_[which]) * kDecodeStretch,
                       end = std::min(s.end, begin + kDecodeStretch);
    const std::int64_t group = shape_.heads / shape_.kv_heads;
    float scores[kDecodeGroup * kDecodeStretch];
    for (std::int64_t g = 0; g < group; g += kDecodeGroup) {
      const std::int64_t head = kv_head * group + g;
      const Partial to = partial(slot, head);
      loops_.stretch(shape_, s, kv_head, head, std::min(kDecodeGroup, group - g), begin, end, scores, to.acc,
                     shape_.value_dim, to.top, to.sum);
    }
  }

  /// Joins the stretches of every head, in their order.
  void finish() {
    for (size_t i = 0; i < sequences_.size(); ++i)
      for (std::int64_t head = 0; head < shape_.heads; ++head) join(i, head);
  }

 private:
  Partial partial(std::int64_t slot, std::int64_t head) {
    const std::int64_t at = slot * shape_.heads + head, count = slots_ * shape_.heads;
    float* base = partial_.data();
    return {base + at * shape_.value_dim, base + count * shape_.value_dim + at,
            base + count * (shape_.value_dim + 1) + at};
  }

  void join(size_t i, std::int64_t head) {
    const std::int64_t first = starts_[i], count = stretches_of(sequences_[i]);
    float* out = sequences_[i].out + head * sequences_[i].out_head;
    float top = -std::numeric_limits<float>::infinity(), sum = 0.0f;
    for (std::int64_t s = first; s < first + count; ++s) top = std::max(top, *partial(s, head).top);
    std::fill_n(out, shape_.value_dim, 0.0f);
    for (std::int64_t s = first; s < first + count; ++s) {
      const Partial from = partial(s, head);
      // A stretch of nothing but -inf has the sum zero; NaN must spread, so it is not skipped by its sum alone.
      if (*from.sum == 0.0f) continue;
      const float weight = std::exp(*from.top - top);
      sum += *from.sum * weight;
      for (std::int64_t c = 0; c < shape_.value_dim; ++c) out[c] += from.acc[c] * weight;
    }
    if (sum == 0.0f) return;
    for (std::int64_t c = 0; c < shape_.value_dim; ++c) out[c] /= sum;
  }

  const DecodeKernels& loops_;
  const DecodeShape& shape_;
  std::span<const DecodeSequence> sequences_;
  std::vector<std::int64_t> starts_;
  std::int64_t slots_ = 0;
  std::vector<float> partial_;
};

}  // namespace

void decode_attention_with(const DecodeKernels& loops, DecodeShape shape, std::span<const DecodeSequence> sequences,
                           int threads) {
  if (shape.value_dim == 0) shape.value_dim = shape.head_dim;
  DecodeLoop loop(loops, shape, sequences);
  std::int64_t tokens = 0;
  for (const DecodeSequence& s : sequences) tokens += std::max<std::int64_t>(s.end - s.begin, 0);
  const bool small = tokens * shape.kv_heads * (shape.head_dim + shape.value_dim) < kDecodeWorthSharing;
  crew_for(loop.tasks(), small ? 1 : threads, loop);
  loop.finish();
}

void decode_attention(const DecodeShape& shape, std::span<const DecodeSequence> sequences, int threads) {
  decode_attention_with(all_decode_kernels().back(), shape, sequences, threads);
}

}  // namespace weft::linalg
