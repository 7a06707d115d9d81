#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace weft::linalg {

/// Heads of tokens in memory: number d of (token t, head h) at data[t * token + h * head + d].
template <class Number>
struct HeadRows {
  Number* data = nullptr;
  std::int64_t token = 0, head = 0;
};

/// One sequence of a batch: which tokens ask, which are looked at. Tokens count from the start of the batch.
struct AttendSequence {
  std::int64_t query = 0, queries = 0;  ///< first, how many
  std::int64_t key = 0, keys = 0;
  const float* bias = nullptr;  ///< added to the scores, [heads, queries, keys]; null: none
};

/// What the heads of attend() do, the same for all sequences.
struct AttendShape {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  ///< divides `heads`; query head h reads kv head h / (heads / kv_heads)
  std::int64_t head_dim = 0;
  float scale = 1.0f;             ///< of q·k
  float softcap = 0.0f;           ///< score = softcap · tanh(score / softcap), before what is added; 0: none
  const float* slopes = nullptr;  ///< ALiBi: adds slopes[h] · (key − query) to the score; null: none
  bool causal = false;            ///< query i of a sequence sees its keys 0 … i only
  std::int64_t window = 0;        ///< … and of these the last `window`; 0: all
  /// Rotary angles [tokens, turned / 2] of queries and keys alike; the first `turned` numbers of a head are turned,
  /// halves against each other. 0: none.
  const float* cos = nullptr;
  const float* sin = nullptr;
  std::int64_t turned = 0;
};

/// The tensors of attend(): queries, keys and values before rotation.
struct AttendInputs {
  HeadRows<const float> q, k, v;
};

/**
 * Attention of whole sequences of any lengths, softmax in float32: out [tokens, heads · head_dim], and for
 * attend_gradient() the logarithm of the sum of exp(scores), log_sum [tokens, heads] (null: not kept). Only rows of
 * tokens that ask are written. Parallel over sequences and kv heads; the bits do not depend on `threads` (0:
 * at::get_num_threads()) nor on the other sequences. NaN spreads within a sequence.
 */
void attend(const AttendShape& shape, std::span<const AttendSequence> sequences, const AttendInputs& in, float* out,
            float* log_sum, int threads = 0);

/// What attend_gradient() reads and writes beside the inputs.
struct AttendGradients {
  const float* out = nullptr;      ///< of attend()
  const float* log_sum = nullptr;  ///< of attend()
  HeadRows<const float> d_out;     ///< gradient of the loss by `out`
  HeadRows<float> dq, dk, dv;      ///< receive the gradients; only rows of tokens that ask or are looked at
};

/// The gradient of attend() by its inputs; scores are made again. The bits do not depend on `threads`.
void attend_gradient(const AttendShape& shape, std::span<const AttendSequence> sequences, const AttendInputs& in,
                     const AttendGradients& gradients, int threads = 0);

/// The loops of this header for one instruction set: one kv head of one sequence.
struct AttendKernels {
  /// Floats of scratch that forward() and backward() need.
  std::int64_t (*room)(const AttendShape& shape, const AttendSequence& sequence, bool backward);
  void (*forward)(const AttendShape& shape, const AttendSequence& sequence, std::int64_t kv_head,
                  const AttendInputs& in, float* out, float* log_sum, float* room);
  void (*backward)(const AttendShape& shape, const AttendSequence& sequence, std::int64_t kv_head,
                   const AttendInputs& in, const AttendGradients& gradients, float* room);
  const char* name;
};

/// Every set this processor runs, the plainest first; the last is the one in use.
const std::vector<AttendKernels>& all_attend_kernels();

}  // namespace weft::linalg
