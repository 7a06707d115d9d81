// Vectors of WEFT_LANES floats and their elementary functions, included once per instruction set by versions.inl inside
// a namespace of its own. Nothing from the standard library may be instantiated here, or a version for a newer
// processor could be linked into code for an older one.

static constexpr int kLanes = WEFT_LANES;
using Vec = float __attribute__((vector_size(4 * WEFT_LANES)));
using Words = std::int32_t __attribute__((vector_size(4 * WEFT_LANES)));
using Halves = std::uint16_t __attribute__((vector_size(2 * WEFT_LANES)));

WEFT_INLINE Vec splat(float v) { return Vec{} + v; }

WEFT_INLINE Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

WEFT_INLINE void store(float* p, Vec v) { __builtin_memcpy(p, &v, sizeof v); }

/// The first n < kLanes numbers at p, `rest` in the other lanes.
WEFT_INLINE Vec load_part(const float* p, std::int64_t n, float rest = 0.0f) {
  Vec v = splat(rest);
  for (std::int64_t l = 0; l < n; ++l) v[l] = p[l];
  return v;
}

WEFT_INLINE void store_part(float* p, Vec v, std::int64_t n) {
  for (std::int64_t l = 0; l < n; ++l) p[l] = v[l];
}

WEFT_INLINE Vec as_floats(Words w) { return reinterpret_cast<Vec>(w); }
WEFT_INLINE Words as_words(Vec v) { return reinterpret_cast<Words>(v); }
WEFT_INLINE Vec magnitude(Vec v) { return as_floats(as_words(v) & 0x7fffffff); }
WEFT_INLINE Vec with_sign_of(Vec v, Vec sign) {
  return as_floats((as_words(v) & 0x7fffffff) | (as_words(sign) & static_cast<std::int32_t>(0x80000000u)));
}
/// The larger; NaN in `a` is dropped, NaN in `b` kept.
WEFT_INLINE Vec larger(Vec a, Vec b) { return a > b ? a : b; }

/// Blocks of 2H lanes: lane i of the result comes from block i / H of (a, b), its first or second half.
template <int H>
static constexpr int fold_lane(int i, bool second) {
  return i / H * 2 * H + i % H + (second ? H : 0);
}

#define WEFT_FOLD4(s, i) fold_lane<H>(i, s), fold_lane<H>(i + 1, s), fold_lane<H>(i + 2, s), fold_lane<H>(i + 3, s)
/// Halves every block of 2H lanes of a, then of b, by adding its two halves.
template <int H>
WEFT_INLINE Vec fold(Vec a, Vec b) {
#if WEFT_LANES == 4
  return __builtin_shufflevector(a, b, WEFT_FOLD4(false, 0)) + __builtin_shufflevector(a, b, WEFT_FOLD4(true, 0));
#elif WEFT_LANES == 8
  return __builtin_shufflevector(a, b, WEFT_FOLD4(false, 0), WEFT_FOLD4(false, 4)) +
         __builtin_shufflevector(a, b, WEFT_FOLD4(true, 0), WEFT_FOLD4(true, 4));
#else
  return __builtin_shufflevector(a, b, WEFT_FOLD4(false, 0), WEFT_FOLD4(false, 4), WEFT_FOLD4(false, 8),
                                 WEFT_FOLD4(false, 12)) +
         __builtin_shufflevector(a, b, WEFT_FOLD4(true, 0), WEFT_FOLD4(true, 4), WEFT_FOLD4(true, 8),
                                 WEFT_FOLD4(true, 12));
#endif
}
#undef WEFT_FOLD4

/// Lane i of the result is the sum of v[i]'s lanes, for i < N; the additions are the same for every N. Destroys v.
template <int N, int H = kLanes / 2>
WEFT_INLINE Vec sums(Vec* v) {
  if constexpr (H == 0) {
    return v[0];
  } else if constexpr (N > 1) {
    static_assert(N % 2 == 0 && N <= kLanes);
    for (int i = 0; i < N / 2; ++i) v[i] = fold<H>(v[2 * i], v[2 * i + 1]);
    return sums<N / 2, H / 2>(v);
  } else {
    v[0] = fold<H>(v[0], v[0]);
    return sums<1, H / 2>(v);
  }
}

WEFT_INLINE float sum_of(Vec v) { return sums<1>(&v)[0]; }

WEFT_INLINE float largest_of(Vec v) {
  float most = v[0];
  for (int l = 1; l < kLanes; ++l) most = v[l] > most ? v[l] : most;
  return most;
}

/// exp(x + extra) for |extra| much smaller than 1; at most 2 units in the last place. Underflow is gradual.
WEFT_INLINE Vec exp_sum(Vec x, Vec extra) {
  const Vec high = splat(89.0f), low = splat(-105.0f), magic = splat(12582912.0f);
  x = x > high ? high : x;
  x = x < low ? low : x;
  const Vec shifted = (x + extra) * 1.44269504088896341f + magic;
  const Vec n = shifted - magic;
  // ln 2 in two parts; the products with the first are exact.
  const Vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f + extra;
  Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // 2ⁿ as two factors: it may be subnormal or too large for one.
  const Words power = as_words(shifted) - 0x4B400000, half = power >> 1;
  return p * as_floats((half + 127) << 23) * as_floats((power - half + 127) << 23);
}

WEFT_INLINE Vec exp(Vec x) { return exp_sum(x, Vec{}); }

WEFT_INLINE Vec sigmoid(Vec x) { return splat(1.0f) / (exp(-x) + 1.0f); }

WEFT_INLINE Vec tanh(Vec x) {
  const Vec a = magnitude(x), s = x * x;
  Vec p = s * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  const Vec near = x + x * s * p;
  const Vec far = with_sign_of(splat(1.0f) - splat(2.0f) / (exp(a + a) + 1.0f), x);
  return a < splat(0.625f) ? near : far;  // NaN takes `far` and stays
}

/// 1 − Φ(x), the upper tail of the normal distribution, for x >= 0; relative error below 1e-6.
WEFT_INLINE Vec normal_tail(Vec x) {
  x = x > splat(15.0f) ? splat(15.0f) : x;  // where it is zero already
  const Vec t = splat(1.0f) / (x * 0.3f + 1.0f);
  // The tail times exp(x²/2), as a polynomial in t: a weighted least-squares fit on [0, 14.6], 4e-9 off at most.
  Vec p = t * -0.0206249095f + 0.112443708f;
  p = p * t - 0.228233323f;
  p = p * t + 0.191811875f;
  p = p * t - 0.0794471949f;
  p = p * t + 0.0961701274f;
  p = p * t + 0.0783848315f;
  p = p * t + 0.110236511f;
  p = p * t + 0.119571678f;
  p = p * t + 0.1196867f;
  // x² to twice the digits: `high` has half of them and an exact square.
  const Vec high = as_floats(as_words(x) & static_cast<std::int32_t>(0xfffff000u));
  return exp_sum(high * high * -0.5f, (x + high) * (x - high) * -0.5f) * (p * t);
}
