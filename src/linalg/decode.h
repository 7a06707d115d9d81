#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace weft::linalg {

/// What one query of one sequence attends to. All pointers stay the caller's; strides count floats.
struct DecodeSequence {
  /// Element (kv head h, token t, d) of the cache is keys[h * key_head + t * key_token + d]; values alike.
  const float* keys = nullptr;
  const float* values = nullptr;
  std::int64_t key_head = 0, key_token = 0;
  std::int64_t value_head = 0, value_token = 0;
  std::int64_t begin = 0, end = 0;  ///< attends to the tokens t in [begin, end); none gives zeros
  const float* query = nullptr;     ///< head h at query + h * query_head, already rotated
  std::int64_t query_head = 0;
  float* out = nullptr;  ///< head h at out + h * out_head
  std::int64_t out_head = 0;
  /// Added to the score of (query head h, token t) as bias[h * bias_head + t]; null for none (T5, masks of -inf).
  const float* bias = nullptr;
  std::int64_t bias_head = 0;
};

/// The shape and the score of decode_attention, the same for all sequences.
struct DecodeShape {
  std::int64_t heads = 0;         ///< of the query
  std::int64_t kv_heads = 0;      ///< divides `heads`; query head h reads kv head h / (heads / kv_heads)
  std::int64_t head_dim = 0;      ///< of query and key
  std::int64_t value_dim = 0;     ///< of value and out; 0 means head_dim
  float scale = 1.0f;             ///< of q·k
  float softcap = 0.0f;           ///< score = softcap · tanh(score / softcap), before biases; 0 for none
  const float* slopes = nullptr;  ///< ALiBi: adds slopes[h] · (t − (end − 1)) to the score; null for none
};

/**
 * Attention of one query per sequence over its cached keys and values, softmax in float32 (the largest score
 * subtracted). Query heads that share a kv head are done together, so the cache is read once. Parallel over sequences,
 * kv heads and stretches of tokens; the bits do not depend on `threads` (0: at::get_num_threads(), 1: inline) nor on
 * the other sequences. Scores of -inf contribute nothing; when all are, the output is zero. NaN spreads.
 */
void decode_attention(const DecodeShape& shape, std::span<const DecodeSequence> sequences, int threads = 0);

/// The loops of this header for one instruction set.
struct DecodeKernels {
  /**
   * One stretch [begin, end) of a sequence for the query heads [first, first + group) of one kv head. Writes for each
   * head the unnormalised Σ exp(s − max) v to acc + g · ld_acc, the largest score to top[g] and Σ exp(s − max) to
   * sum[g]. `scores` has room for `group` rows of (end − begin), rounded up to a multiple of 16, floats;
   * shape.value_dim is filled in.
   */
  void (*stretch)(const DecodeShape& shape, const DecodeSequence& sequence, std::int64_t kv_head, std::int64_t first,
                  std::int64_t group, std::int64_t begin, std::int64_t end, float* scores, float* acc,
                  std::int64_t ld_acc, float* top, float* sum);
  const char* name;
};

/// Every set this processor runs, the plainest first; the last is the one in use.
const std::vector<DecodeKernels>& all_decode_kernels();

/// decode_attention with a given set.
void decode_attention_with(const DecodeKernels& loops, DecodeShape shape, std::span<const DecodeSequence> sequences,
                           int threads);

}  // namespace weft::linalg
