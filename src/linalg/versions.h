#pragma once

// What a file needs before it includes versions.inl.

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WEFT_X86_VERSIONS 1
#include <immintrin.h>
#else
#define WEFT_X86_VERSIONS 0
#endif

// The vectors never cross a call that is not inlined, so how they would be passed does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"
