// Weights of any stored type as vectors, and the two products every decoding loop is made of. Every output element is
// computed by one sequence of operations, whatever block it falls into.

#if WEFT_LANES == 16
WEFT_INLINE Vec widen_halves(Halves h) { return _mm512_maskz_cvtph_ps(0xFFFF, reinterpret_cast<__m256i>(h)); }
WEFT_INLINE Words wide_words(Halves h) {
  return reinterpret_cast<Words>(_mm512_maskz_cvtepu16_epi32(0xFFFF, reinterpret_cast<__m256i>(h)));
}
#elif WEFT_LANES == 8
WEFT_INLINE Vec widen_halves(Halves h) { return _mm256_cvtph_ps(reinterpret_cast<__m128i>(h)); }
WEFT_INLINE Words wide_words(Halves h) {
  return reinterpret_cast<Words>(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(h)));
}
#else
WEFT_INLINE Words wide_words(Halves h) {
  Words w = {};
  for (int l = 0; l < kLanes; ++l) w[l] = h[l];
  return w;
}
WEFT_INLINE Vec widen_halves(Halves h) {
  const Words w = wide_words(h), rest = (w & 0x7fff) << 13, sign = (w & 0x8000) << 16;
  // The exponent is rebased by an exact product, which also takes care of subnormal numbers; inf and NaN need their
  // own.
  const Words number = as_words(as_floats(rest) * 0x1p112f);
  const Words special = rest | 0x7f800000;
  return as_floats(((w & 0x7c00) == 0x7c00 ? special : number) | sign);
}
#endif

template <Stored S>
WEFT_INLINE Vec load_stored(const void* base, std::int64_t index) {
  if constexpr (S == Stored::kFloat32) {
    return load(static_cast<const float*>(base) + index);
  } else {
    Halves h;
    __builtin_memcpy(&h, static_cast<const char*>(base) + 2 * index, sizeof h);
    return S == Stored::kFloat16 ? widen_halves(h) : as_floats(wide_words(h) << 16);
  }
}

/// The n < kLanes numbers from `index` on, then zeros.
template <Stored S>
WEFT_INLINE Vec load_stored_part(const void* base, std::int64_t index, std::int64_t n) {
  constexpr int kSize = S == Stored::kFloat32 ? 4 : 2;
  char padded[kSize * kLanes] = {};
  const char* from = static_cast<const char*>(base) + kSize * index;
  for (std::int64_t l = 0; l < n; ++l) __builtin_memcpy(padded + kSize * l, from + kSize * l, kSize);
  return load_stored<S>(padded, 0);
}

template <Stored S>
WEFT_INLINE void fetch_ahead(const void* base, std::int64_t index) {
  constexpr int kSize = S == Stored::kFloat32 ? 4 : 2;
  __builtin_prefetch(static_cast<const char*>(base) + kSize * index, 0, 3);
}

/// Sums of R rows' products with M rows of x: out[i * ld_out + j] = Σ acc[i * R + j].
template <int R, int M>
WEFT_INLINE void put_sums(Vec* acc, float* out, std::int64_t ld_out) {
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
    const Vec s = sums<R>(acc + i * R);
#pragma GCC unroll 8
    for (int j = 0; j < R; ++j) out[i * ld_out + j] = s[j];
  }
}

/// out[i * ld_out + j] = x[i] · w[j] for R rows of w, one row after the other: what is read forward is read fastest.
template <Stored S, int R, int M>
WEFT_INLINE void dot_apart(const void* w, std::int64_t ldw, const float* x, std::int64_t ldx, std::int64_t in,
                           float* out, std::int64_t ld_out) {
  Vec acc[M * R] = {};
#pragma GCC unroll 8
  for (int j = 0; j < R; ++j) {
    std::int64_t k = 0;
#pragma GCC unroll 2
    for (; k + kLanes <= in; k += kLanes) {
      const Vec wide = load_stored<S>(w, j * ldw + k);
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) acc[i * R + j] += load(x + i * ldx + k) * wide;
    }
    if (k < in) {
      const Vec wide = load_stored_part<S>(w, j * ldw + k, in - k);
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) acc[i * R + j] += load_part(x + i * ldx + k, in - k) * wide;
    }
  }
  put_sums<R, M>(acc, out, ld_out);
}

/// The same, all rows at once: fewest loads per multiplication. Meanwhile it fetches the R rows that follow.
template <Stored S, int R, int M>
WEFT_INLINE void dot_together(const void* w, std::int64_t ldw, const float* x, std::int64_t ldx, std::int64_t in,
                              bool fetch, float* out, std::int64_t ld_out) {
  Vec acc[M * R] = {};
  // Short rows are fetched forward, as if they were one long row.
  const bool forward = ldw * (S == Stored::kFloat32 ? 4 : 2) <= 4096;
  const std::int64_t ahead = fetch ? R * ldw : 0, by_row = forward && fetch ? kLanes : ldw,
                     by_k = forward && fetch ? R : 1;
  std::int64_t k = 0;
  for (; k + kLanes <= in; k += kLanes) {
    Vec wide[R];
#pragma GCC unroll 8
    for (int j = 0; j < R; ++j) {
      wide[j] = load_stored<S>(w, j * ldw + k);
      fetch_ahead<S>(w, ahead + j * by_row + k * by_k);
    }
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
      const Vec v = load(x + i * ldx + k);
#pragma GCC unroll 8
      for (int j = 0; j < R; ++j) acc[i * R + j] += v * wide[j];
    }
  }
  if (k < in) {
    Vec wide[R];
#pragma GCC unroll 8
    for (int j = 0; j < R; ++j) wide[j] = load_stored_part<S>(w, j * ldw + k, in - k);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
      const Vec v = load_part(x + i * ldx + k, in - k);
#pragma GCC unroll 8
      for (int j = 0; j < R; ++j) acc[i * R + j] += v * wide[j];
    }
  }
  put_sums<R, M>(acc, out, ld_out);
}

/// Four rows of w and M of x, in whichever way suits; see dots().
template <Stored S, int M>
WEFT_INLINE void dot_four(const void* w, std::int64_t ldw, const float* x, std::int64_t ldx, std::int64_t in,
                          bool apart, bool fetch, float* out, std::int64_t ld_out) {
  if (apart)
    dot_apart<S, 4, M>(w, ldw, x, ldx, in, out, ld_out);
  else
    dot_together<S, 4, M>(w, ldw, x, ldx, in, fetch, out, ld_out);
}

/// out[i * ld_out + j] = x[i] · w[j] for `rows` <= 4 rows of w and `m` rows of x. `fetch`: four more rows follow.
template <Stored S>
static void dots(const void* w, std::int64_t ldw, std::int64_t rows, const float* x, std::int64_t ldx, std::int64_t m,
                 std::int64_t in, bool fetch, float* out, std::int64_t ld_out) {
  if (rows < 4) {
    constexpr std::int64_t kSize = S == Stored::kFloat32 ? 4 : 2;
    for (std::int64_t j = 0; j < rows; ++j)
      for (std::int64_t i = 0; i < m; ++i)
        dot_apart<S, 1, 1>(static_cast<const char*>(w) + kSize * j * ldw, ldw, x + i * ldx, ldx, in,
                           out + i * ld_out + j, ld_out);
    return;
  }
  // Apart as long as memory is what limits, and x stays in the first-level cache beside the weights.
  const bool apart = m == 1 || (m <= 4 && m * in <= 2048);
  for (std::int64_t i = 0; i < m; i += 4, fetch = false) {
    const float* from = x + i * ldx;
    float* to = out + i * ld_out;
    switch (m - i) {
      case 1: dot_four<S, 1>(w, ldw, from, ldx, in, apart, fetch, to, ld_out); break;
      case 2: dot_four<S, 2>(w, ldw, from, ldx, in, apart, fetch, to, ld_out); break;
      case 3: dot_four<S, 3>(w, ldw, from, ldx, in, apart, fetch, to, ld_out); break;
      default: dot_four<S, 4>(w, ldw, from, ldx, in, apart, fetch, to, ld_out);
    }
  }
}

/// acc[i, c] += Σ_k x[i, k] w[k, c] for K rows of w, `cols` columns and M rows of x, in the order of k.
template <Stored S, int K, int M>
WEFT_INLINE void axpy_block(const void* w, std::int64_t ldw, const float* x, std::int64_t ldx, std::int64_t cols,
                            float* acc, std::int64_t ld_acc) {
  std::int64_t c = 0;
  for (; c + kLanes <= cols; c += kLanes) {
    Vec sum[M];
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) sum[i] = load(acc + i * ld_acc + c);
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) {
      const Vec wide = load_stored<S>(w, k * ldw + c);
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) sum[i] += wide * x[i * ldx + k];
    }
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) store(acc + i * ld_acc + c, sum[i]);
  }
  if (c >= cols) return;
  for (int i = 0; i < M; ++i) {
    Vec sum = load_part(acc + i * ld_acc + c, cols - c);
    for (int k = 0; k < K; ++k) sum += load_stored_part<S>(w, k * ldw + c, cols - c) * x[i * ldx + k];
    store_part(acc + i * ld_acc + c, sum, cols - c);
  }
}

template <Stored S, int M>
static void axpy_rows(const void* w, std::int64_t ldw, std::int64_t in, const float* x, std::int64_t ldx,
                      std::int64_t cols, bool apart, float* acc, std::int64_t ld_acc) {
  constexpr std::int64_t kSize = S == Stored::kFloat32 ? 4 : 2;
  const char* rows = static_cast<const char*>(w);
  std::int64_t k = 0;
  for (; !apart && k + 8 <= in; k += 8) axpy_block<S, 8, M>(rows + kSize * k * ldw, ldw, x + k, ldx, cols, acc, ld_acc);
  for (; k < in; ++k) axpy_block<S, 1, M>(rows + kSize * k * ldw, ldw, x + k, ldx, cols, acc, ld_acc);
}

/// acc[i, c] += Σ_k x[i, k] w[k, c] for m rows of x and `in` rows of w.
template <Stored S>
static void axpys(const void* w, std::int64_t ldw, std::int64_t in, const float* x, std::int64_t ldx, std::int64_t m,
                  std::int64_t cols, float* acc, std::int64_t ld_acc) {
  // Eight rows at a time spare traffic with `acc`; one at a time is read faster where rows are short, but each waits
  // for the one before, which the shortest would feel.
  const bool apart = m == 1 && cols >= 256 && cols <= 1024;
  for (std::int64_t i = 0; i < m; i += 4) {
    const float* rows = x + i * ldx;
    float* into = acc + i * ld_acc;
    switch (m - i) {
      case 1: axpy_rows<S, 1>(w, ldw, in, rows, ldx, cols, apart, into, ld_acc); break;
      case 2: axpy_rows<S, 2>(w, ldw, in, rows, ldx, cols, apart, into, ld_acc); break;
      case 3: axpy_rows<S, 3>(w, ldw, in, rows, ldx, cols, apart, into, ld_acc); break;
      default: axpy_rows<S, 4>(w, ldw, in, rows, ldx, cols, apart, into, ld_acc);
    }
  }
}
