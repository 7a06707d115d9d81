// Compiles the loops in WEFT_LOOPS once per instruction set. Included inside a namespace that no other file uses; each
// inner namespace offers make_table(name). supported() lists the tables that this processor runs.

#define WEFT_INLINE static inline __attribute__((always_inline))

namespace portable {
#define WEFT_LANES 4
#include "linalg/simd.inl"
#include WEFT_LOOPS
#undef WEFT_LANES
}  // namespace portable

#if WEFT_X86_VERSIONS
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
namespace avx2 {
#define WEFT_LANES 8
#include "linalg/simd.inl"
#include WEFT_LOOPS
#undef WEFT_LANES
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,f16c,prefer-vector-width=512")
namespace avx512 {
#define WEFT_LANES 16
#include "linalg/simd.inl"
#include WEFT_LOOPS
#undef WEFT_LANES
}  // namespace avx512
#pragma GCC pop_options
#endif

template <class Table>
static std::vector<Table> supported() {
  std::vector<Table> out = {portable::make_table("portable")};
#if WEFT_X86_VERSIONS
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
    out.push_back(avx2::make_table("avx2"));
  if (out.size() == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    out.push_back(avx512::make_table("avx512"));
#endif
  return out;
}
