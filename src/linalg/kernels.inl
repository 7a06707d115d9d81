// The loops of kernels.h, included once per instruction set inside a namespace of its own. Plain C on purpose: nothing
// from the standard library may be instantiated here, or a version for a newer processor could be linked into code for
// an older one.

static inline void product_rows(const float* b, std::int64_t ldb, const float* a, std::int64_t lda, std::int64_t rows,
                                std::int64_t rank, std::int64_t width, float* out, std::int64_t ldo) {
  // One strip of `width` <= kStrip columns, four rows at a time: the strip of a stays in the first-level cache.
  float acc[4][kStrip];
  for (std::int64_t i = 0; i < rows; i += 4) {
    const int live = static_cast<int>(rows - i < 4 ? rows - i : 4);
    for (int u = 0; u < 4; ++u)
      for (int j = 0; j < kStrip; ++j) acc[u][j] = 0.0f;
    const float* b0 = b + i * ldb;
    const float* b1 = live > 1 ? b0 + ldb : b0;
    const float* b2 = live > 2 ? b0 + 2 * ldb : b0;
    const float* b3 = live > 3 ? b0 + 3 * ldb : b0;
    if (width == kStrip) {
      for (std::int64_t p = 0; p < rank; ++p) {
        const float* row = a + p * lda;
        const float c0 = b0[p], c1 = b1[p], c2 = b2[p], c3 = b3[p];
        for (int j = 0; j < kStrip; ++j) {
          const float x = row[j];
          acc[0][j] += c0 * x;
          acc[1][j] += c1 * x;
          acc[2][j] += c2 * x;
          acc[3][j] += c3 * x;
        }
      }
    } else {
      float row[kStrip] = {};
      for (std::int64_t p = 0; p < rank; ++p) {
        for (std::int64_t j = 0; j < width; ++j) row[j] = a[p * lda + j];
        const float c0 = b0[p], c1 = b1[p], c2 = b2[p], c3 = b3[p];
        for (int j = 0; j < kStrip; ++j) {
          const float x = row[j];
          acc[0][j] += c0 * x;
          acc[1][j] += c1 * x;
          acc[2][j] += c2 * x;
          acc[3][j] += c3 * x;
        }
      }
    }
    for (int u = 0; u < live; ++u)
      for (std::int64_t j = 0; j < width; ++j) out[(i + u) * ldo + j] = acc[u][j];
  }
}

static void product(const float* b, std::int64_t ldb, const float* a, std::int64_t lda, std::int64_t rows,
                    std::int64_t rank, std::int64_t cols, float* out, std::int64_t ldo) {
  for (std::int64_t j = 0; j < cols; j += kStrip)
    product_rows(b, ldb, a + j, lda, rows, rank, cols - j < kStrip ? cols - j : kStrip, out + j, ldo);
}

static std::int64_t bracket(const float* x, std::int64_t n, float low, float high, std::int64_t* above, float* inside) {
  std::int64_t count = 0, over = 0, j = 0;
  for (; j + 16 <= n; j += 16) {
    unsigned more = 0, hits = 0;
    compare_magnitudes(x + j, low, high, hits, more);
    over += __builtin_popcount(more);
    for (hits &= ~more; hits != 0; hits &= hits - 1) inside[count++] = __builtin_fabsf(x[j + __builtin_ctz(hits)]);
  }
  for (; j < n; ++j) {
    const float v = __builtin_fabsf(x[j]);
    over += v > high;
    inside[count] = v;
    count += (v >= low) & (v <= high);
  }
  *above += over;
  return count;
}

static void keep_large(float* x, std::int64_t n, float threshold) {
  for (std::int64_t j = 0; j < n; ++j) x[j] = __builtin_fabsf(x[j]) >= threshold ? x[j] : 0.0f;
}

// Sixteen Philox4x32-10 blocks at once (Salmon et al. 2011): lane l of word w decides column 16 w + l of the group.
static inline void random_group(std::uint32_t k0, std::uint32_t k1, std::uint64_t stream, std::uint64_t group,
                                Lanes* words) {
  Lanes c0, c1, c2, c3;
  for (int l = 0; l < 16; ++l) c0[l] = static_cast<std::uint32_t>(group * 16) + static_cast<std::uint32_t>(l);
  c1 = Lanes{} + static_cast<std::uint32_t>((group * 16) >> 32);
  c2 = Lanes{} + static_cast<std::uint32_t>(stream);
  c3 = Lanes{} + static_cast<std::uint32_t>(stream >> 32);
  for (int round = 0; round < 10; ++round) {
    Lanes high0, low0, high1, low1;
    multiply_wide(c0, 0xD2511F53u, high0, low0);
    multiply_wide(c2, 0xCD9E8D57u, high1, low1);
    c0 = high1 ^ c1 ^ k0;
    c2 = high0 ^ c3 ^ k1;
    c1 = low1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

static void keep_random(float* x, std::int64_t n, std::uint64_t key, std::int64_t row, std::int64_t column0,
                        std::uint64_t limit, float rescale) {
  // Words are compared as limit - 1 >= word so that a limit of 2^32 (keep everything) fits.
  if (limit == 0) {
    for (std::int64_t j = 0; j < n; ++j) x[j] = 0.0f;
    return;
  }
  const std::uint32_t last = static_cast<std::uint32_t>(limit - 1);
  Lanes groups[4];
  std::uint32_t words[64];
  for (std::int64_t j0 = 0; j0 < n; j0 += 64) {
    random_group(static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32),
                 static_cast<std::uint64_t>(row), static_cast<std::uint64_t>((column0 + j0) / 64), groups);
    __builtin_memcpy(words, groups, sizeof words);
    const std::int64_t width = n - j0 < 64 ? n - j0 : 64;
    for (std::int64_t j = 0; j < width; ++j) {
      const float scaled = x[j0 + j] * rescale;
      x[j0 + j] = words[j] <= last ? scaled : 0.0f;
    }
  }
}

static inline Floats load_floats(const float* p, int width) {
  Floats v = {};
  if (width == 16)
    __builtin_memcpy(&v, p, sizeof v);
  else
    for (int l = 0; l < width; ++l) v[l] = p[l];
  return v;
}

static inline Floats vote_of(const Floats& v, bool frequency) {
  const Floats one = Floats{} + 1.0f, none = {};
  if (!frequency) return v;
  return (v > none ? one : none) - (v < none ? one : none);
}

// Sixteen columns, the whole rule in registers. Signs are compared through exact products with +1 and -1, so nothing
// underflows.
static inline __attribute__((always_inline)) Floats combine_lanes(const float* const* x, const float* w,
                                                                  std::int64_t count, std::int64_t j, int width,
                                                                  const CombineRule& rule) {
  const Floats none = {}, one = none + 1.0f;
  Floats sum = none;
  if (!rule.consensus) {
    for (std::int64_t i = 0; i < count; ++i) sum += w[i] * load_floats(x[i] + j, width);
    return sum * rule.factor;
  }
  Floats vote = none, divisor = none;
  for (std::int64_t i = 0; i < count; ++i) {
    const Floats value = load_floats(x[i] + j, width);
    vote += vote_of(rule.weighted_vote ? w[i] * value : value, rule.frequency);
  }
  const Floats elected = vote >= none ? one : -one;
  for (std::int64_t i = 0; i < count; ++i) {
    const Floats value = load_floats(x[i] + j, width);
    const float side = rule.weighted_vote && w[i] < 0.0f ? -1.0f : 1.0f;
    const float share = rule.weight_divisor ? __builtin_fabsf(w[i]) : 1.0f;
    const Floats aligned = elected * value * side;
    sum += aligned > none ? value * w[i] : none;
    divisor += aligned > none ? none + share : none;
  }
  if (rule.mean) sum /= divisor > none ? divisor : one;
  return sum * rule.factor;
}

static void combine(const float* const* x, const float* w, std::int64_t count, std::int64_t n, const CombineRule& rule,
                    float* out) {
  std::int64_t j = 0;
  for (; j + 16 <= n; j += 16) {
    const Floats v = combine_lanes(x, w, count, j, 16, rule);
    __builtin_memcpy(out + j, &v, sizeof v);
  }
  if (j == n) return;
  const Floats v = combine_lanes(x, w, count, j, static_cast<int>(n - j), rule);
  for (int l = 0; l < static_cast<int>(n - j); ++l) out[j + l] = v[l];
}

static double sum_squares(const float* x, std::int64_t n) {
  double lanes[16] = {};
  std::int64_t j = 0;
  for (; j + 16 <= n; j += 16)
    for (int l = 0; l < 16; ++l) lanes[l] += static_cast<double>(x[j + l]) * static_cast<double>(x[j + l]);
  double total = 0;
  for (; j < n; ++j) total += static_cast<double>(x[j]) * static_cast<double>(x[j]);
  for (int l = 0; l < 16; ++l) total += lanes[l];
  return total;
}

static constexpr Kernels make_table(const char* name) {
  return Kernels{product, bracket, keep_large, keep_random, combine, sum_squares, name};
}
