#include "linalg/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WEFT_X86_VERSIONS 1
#include <immintrin.h>
#else
#define WEFT_X86_VERSIONS 0
#endif

// The vectors never cross a call that is not inlined, so how they would be passed does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace weft::linalg {

/// Sixteen 32-bit words; the compiler maps them to whatever registers the instruction set has.
using Lanes = std::uint32_t __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(64)));

namespace portable {
static constexpr int kStrip = 16;
static inline void multiply_wide(const Lanes& c, std::uint32_t m, Lanes& high, Lanes& low) {
  for (int l = 0; l < 16; ++l) {
    const std::uint64_t p = std::uint64_t{m} * c[l];
    high[l] = static_cast<std::uint32_t>(p >> 32);
    low[l] = static_cast<std::uint32_t>(p);
  }
}
static inline void compare_magnitudes(const float* x, float low, float high, unsigned& hits, unsigned& more) {
  for (int l = 0; l < 16; ++l) {
    const float v = __builtin_fabsf(x[l]);
    hits |= static_cast<unsigned>(v >= low) << l;
    more |= static_cast<unsigned>(v > high) << l;
  }
}
#include "linalg/kernels.inl"
}  // namespace portable

#if WEFT_X86_VERSIONS
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
static constexpr int kStrip = 16;
static inline void multiply_wide(const Lanes& c, std::uint32_t m, Lanes& high, Lanes& low) {
  const __m256i factor = _mm256_set1_epi64x(m);
  for (int half = 0; half < 2; ++half) {
    __m256i x, h, w;
    __builtin_memcpy(&x, reinterpret_cast<const char*>(&c) + 32 * half, 32);
    const __m256i even = _mm256_mul_epu32(x, factor), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), factor);
    h = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
    w = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    __builtin_memcpy(reinterpret_cast<char*>(&high) + 32 * half, &h, 32);
    __builtin_memcpy(reinterpret_cast<char*>(&low) + 32 * half, &w, 32);
  }
}
static inline void compare_magnitudes(const float* x, float low, float high, unsigned& hits, unsigned& more) {
  const __m256 sign = _mm256_set1_ps(-0.0f), l = _mm256_set1_ps(low), h = _mm256_set1_ps(high);
  for (int half = 0; half < 2; ++half) {
    const __m256 v = _mm256_andnot_ps(sign, _mm256_loadu_ps(x + 8 * half));
    hits |= static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(v, l, _CMP_GE_OQ))) << (8 * half);
    more |= static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(v, h, _CMP_GT_OQ))) << (8 * half);
  }
}
#include "linalg/kernels.inl"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")
namespace avx512 {
static constexpr int kStrip = 64;
static inline void multiply_wide(const Lanes& c, std::uint32_t m, Lanes& high, Lanes& low) {
  const __m512i factor = _mm512_set1_epi64(m);
  const __m512i x = reinterpret_cast<const __m512i&>(c);
  const __m512i even = _mm512_maskz_mul_epu32(0xFF, x, factor);
  const __m512i odd = _mm512_maskz_mul_epu32(0xFF, _mm512_maskz_srli_epi64(0xFF, x, 32), factor);
  high = reinterpret_cast<Lanes>(_mm512_mask_blend_epi32(0xAAAA, _mm512_maskz_srli_epi64(0xFF, even, 32), odd));
  low = reinterpret_cast<Lanes>(_mm512_mask_blend_epi32(0xAAAA, even, _mm512_maskz_slli_epi64(0xFF, odd, 32)));
}
static inline void compare_magnitudes(const float* x, float low, float high, unsigned& hits, unsigned& more) {
  const __m512 v =
      _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(_mm512_loadu_ps(x)), _mm512_set1_epi32(0x7fffffff)));
  hits = _mm512_cmp_ps_mask(v, _mm512_set1_ps(low), _CMP_GE_OQ);
  more = _mm512_cmp_ps_mask(v, _mm512_set1_ps(high), _CMP_GT_OQ);
}
#include "linalg/kernels.inl"
}  // namespace avx512
#pragma GCC pop_options
#endif

const std::vector<Kernels>& all_kernels() {
  static const std::vector<Kernels> sets = [] {
    std::vector<Kernels> out = {portable::make_table("portable")};
#if WEFT_X86_VERSIONS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) out.push_back(avx2::make_table("avx2"));
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
      out.push_back(avx512::make_table("avx512"));
#endif
    return out;
  }();
  return sets;
}

const Kernels& kernels() {
  static const Kernels& chosen = all_kernels().back();
  return chosen;
}

}  // namespace weft::linalg
