// The loops of decode.h; see versions.inl.

#include "linalg/dots.inl"

/// Scores of one head become exp(score − largest); returns the largest and their sum. `t0` is the first token.
static void soften(const DecodeShape& shape, const DecodeSequence& sequence, std::int64_t head, std::int64_t t0,
                   std::int64_t n, float* scores, float* top, float* sum) {
  const float slope = shape.slopes ? shape.slopes[head] : 0.0f;
  const float* bias = sequence.bias ? sequence.bias + head * sequence.bias_head + t0 : nullptr;
  Vec lane = {};
  for (int l = 0; l < kLanes; ++l) lane[l] = static_cast<float>(l);
  const float none = -__builtin_inff();
  Vec most = splat(none);
  for (std::int64_t j = 0; j < n; j += kLanes) {
    const bool whole = j + kLanes <= n;
    Vec s = load(scores + j) * shape.scale;
    if (shape.softcap > 0.0f) s = tanh(s / shape.softcap) * shape.softcap;
    // Distances to the query's own token are small integers: exact.
    if (shape.slopes) s += (lane + static_cast<float>(t0 + j - (sequence.end - 1))) * slope;
    if (bias) s += whole ? load(bias + j) : load_part(bias + j, n - j);
    if (!whole) s = lane < splat(static_cast<float>(n - j)) ? s : splat(none);
    store(scores + j, s);
    most = larger(s, most);
  }
  const float largest = largest_of(most);
  const float base = largest == none ? 0.0f : largest;
  Vec total = {};
  for (std::int64_t j = 0; j < n; j += kLanes) {
    const Vec p = exp(load(scores + j) - base);
    store(scores + j, p);
    total += p;
  }
  *top = largest;
  *sum = sum_of(total);
}

static void stretch(const DecodeShape& shape, const DecodeSequence& sequence, std::int64_t kv_head, std::int64_t first,
                    std::int64_t group, std::int64_t begin, std::int64_t end, float* scores, float* acc,
                    std::int64_t ld_acc, float* top, float* sum) {
  const std::int64_t n = end - begin, ld = (n + 15) / 16 * 16, wide = shape.value_dim;
  const float* keys = sequence.keys + kv_head * sequence.key_head + begin * sequence.key_token;
  const float* values = sequence.values + kv_head * sequence.value_head + begin * sequence.value_token;
  const float* query = sequence.query + first * sequence.query_head;
  for (std::int64_t j = 0; j < n; j += 4) {
    const std::int64_t rows = n - j < 4 ? n - j : 4;
    dots<Stored::kFloat32>(keys + j * sequence.key_token, sequence.key_token, rows, query, sequence.query_head, group,
                           shape.head_dim, j + 8 <= n, scores + j, ld);
  }
  for (std::int64_t g = 0; g < group; ++g) {
    for (std::int64_t j = n; j < ld; ++j) scores[g * ld + j] = 0.0f;
    soften(shape, sequence, first + g, begin, n, scores + g * ld, top + g, sum + g);
    for (std::int64_t c = 0; c < wide; ++c) acc[g * ld_acc + c] = 0.0f;
  }
  axpys<Stored::kFloat32>(values, sequence.value_token, n, scores, ld, group, wide, acc, ld_acc);
}

static constexpr DecodeKernels make_table(const char* name) { return DecodeKernels{stretch, name}; }
