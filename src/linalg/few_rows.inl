// The loops of few_rows.h; see versions.inl.

#include "linalg/dots.inl"

using Four = float __attribute__((vector_size(16)));

WEFT_INLINE Four load_four(const float* p, std::int64_t n) {
  Four v = {};
  if (n >= 4)
    __builtin_memcpy(&v, p, sizeof v);
  else
    for (std::int64_t l = 0; l < n; ++l) v[l] = p[l];
  return v;
}

/// Writes one product. Never inlined: it must round the same way wherever it is used.
static __attribute__((noinline)) void finish(const FewRowsPart& part, const float* product, std::int64_t ld,
                                             std::int64_t i0, std::int64_t m, std::int64_t j0, std::int64_t n) {
  for (std::int64_t i = 0; i < m; ++i) {
    float* y = part.y + (i0 + i) * part.ldy + j0;
    for (std::int64_t j = 0; j < n; j += 4) {
      Four v = load_four(product + i * ld + j, n - j) * part.scale;
      if (part.bias) v += load_four(part.bias + j0 + j, n - j);
      if (part.accumulate) v += load_four(y + j, n - j);
      if (n - j >= 4)
        __builtin_memcpy(y + j, &v, sizeof v);
      else
        for (std::int64_t l = 0; l < n - j; ++l) y[j + l] = v[l];
    }
  }
}

template <Stored S>
static void dot_rows(const FewRowsPart& part, const float* x, std::int64_t m, std::int64_t in, std::int64_t ldx,
                     std::int64_t first, std::int64_t last) {
  constexpr std::int64_t kSize = S == Stored::kFloat32 ? 4 : 2;
  float block[16 * 4];
  for (std::int64_t i = 0; i < m; i += 16) {
    const std::int64_t many = m - i < 16 ? m - i : 16;
    for (std::int64_t j = first; j < last; j += 4) {
      const std::int64_t rows = last - j < 4 ? last - j : 4;
      const char* w = static_cast<const char*>(part.w) + kSize * j * part.ldw;
      dots<S>(w, part.ldw, rows, x + i * ldx, ldx, many, in, j + 8 <= part.out, block, 4);
      finish(part, block, 4, i, many, j, rows);
    }
  }
}

template <Stored S>
static void axpy_columns(const FewRowsPart& part, const float* x, std::int64_t m, std::int64_t in, std::int64_t ldx,
                         std::int64_t first, std::int64_t last) {
  constexpr std::int64_t kSize = S == Stored::kFloat32 ? 4 : 2;
  constexpr std::int64_t kRoom = 4096;  // floats: half of a first-level cache
  float acc[kRoom];
  for (std::int64_t i = 0; i < m; i += 16) {
    const std::int64_t many = m - i < 16 ? m - i : 16, tile = kRoom / many / 64 * 64;
    for (std::int64_t j = first; j < last; j += tile) {
      const std::int64_t cols = last - j < tile ? last - j : tile;
      for (std::int64_t e = 0; e < many * cols; ++e) acc[e] = 0.0f;
      axpys<S>(static_cast<const char*>(part.w) + kSize * j, part.ldw, in, x + i * ldx, ldx, many, cols, acc, cols);
      finish(part, acc, cols, i, many, j, cols);
    }
  }
}

template <Stored S>
static void rows_of(const FewRowsPart& part, const float* x, std::int64_t m, std::int64_t in, std::int64_t ldx,
                    std::int64_t first, std::int64_t last) {
  (part.transposed ? axpy_columns<S> : dot_rows<S>)(part, x, m, in, ldx, first, last);
}

static void rows(const FewRowsPart& part, const float* x, std::int64_t m, std::int64_t in, std::int64_t ldx,
                 std::int64_t first, std::int64_t last) {
  switch (part.type) {
    case Stored::kFloat32: return rows_of<Stored::kFloat32>(part, x, m, in, ldx, first, last);
    case Stored::kBFloat16: return rows_of<Stored::kBFloat16>(part, x, m, in, ldx, first, last);
    case Stored::kFloat16: return rows_of<Stored::kFloat16>(part, x, m, in, ldx, first, last);
  }
}

template <Stored S>
static void widen_as(const void* from, std::int64_t n, float* to) {
  std::int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) store(to + j, load_stored<S>(from, j));
  if (j < n) store_part(to + j, load_stored_part<S>(from, j, n - j), n - j);
}

static void widen_row(const void* from, Stored type, std::int64_t n, float* to) {
  switch (type) {
    case Stored::kFloat32: return widen_as<Stored::kFloat32>(from, n, to);
    case Stored::kBFloat16: return widen_as<Stored::kBFloat16>(from, n, to);
    case Stored::kFloat16: return widen_as<Stored::kFloat16>(from, n, to);
  }
}

static constexpr FewRowsKernels make_table(const char* name) { return FewRowsKernels{rows, widen_row, name}; }
