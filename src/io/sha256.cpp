#include "io/sha256.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "weft/core/error.h"

namespace weft::io {

namespace {

alignas(16) constexpr std::array<std::uint32_t, 64> kShaRound{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

using ShaState = std::array<std::uint32_t, 8>;

void sha_blocks_plain(ShaState& state, const unsigned char* data, size_t blocks) {
  std::array<std::uint32_t, 64> w{};
  for (; blocks > 0; --blocks, data += 64) {
    for (size_t i = 0; i < 16; ++i)
      w[i] = std::uint32_t{data[4 * i]} << 24 | std::uint32_t{data[4 * i + 1]} << 16 |
             std::uint32_t{data[4 * i + 2]} << 8 | data[4 * i + 3];
    for (size_t i = 16; i < 64; ++i) {
      const std::uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const std::uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (size_t i = 0; i < 64; ++i) {
      const std::uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const std::uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kShaRound[i] + w[i];
      const std::uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const std::uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const ShaState add{a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < 8; ++i) state[i] += add[i];
  }
}

#if defined(__x86_64__)
/// The same with the processor's SHA instructions: some six times faster.
__attribute__((target("sha,sse4.1"))) void sha_blocks_native(ShaState& state, const unsigned char* data,
                                                             size_t blocks) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  // The instructions want the state as (a b e f) and (c d g h).
  const auto* in = reinterpret_cast<const __m128i*>(state.data());
  const __m128i low = _mm_shuffle_epi32(_mm_loadu_si128(in), 0xB1);
  const __m128i high = _mm_shuffle_epi32(_mm_loadu_si128(in + 1), 0x1B);
  __m128i abef = _mm_alignr_epi8(low, high, 8);
  __m128i cdgh = _mm_blend_epi16(high, low, 0xF0);
  for (; blocks > 0; --blocks, data += 64) {
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];
    for (int i = 0; i < 4; ++i)
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data) + i), swap);
    for (int i = 0; i < 16; ++i) {
      const __m128i now = w[i & 3];
      const __m128i sum = _mm_add_epi32(now, _mm_load_si128(reinterpret_cast<const __m128i*>(kShaRound.data()) + i));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
      if (i >= 12) continue;
      // Words i + 4 of the schedule replace words i.
      const __m128i recent = w[(i + 3) & 3];
      __m128i next = _mm_sha256msg1_epu32(now, w[(i + 1) & 3]);
      next = _mm_add_epi32(next, _mm_alignr_epi8(recent, w[(i + 2) & 3], 4));
      w[i & 3] = _mm_sha256msg2_epu32(next, recent);
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  auto* out = reinterpret_cast<__m128i*>(state.data());
  _mm_storeu_si128(out, _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(out + 1, _mm_alignr_epi8(dchg, feba, 8));
}

bool has_sha_instructions() {
  // __builtin_cpu_supports knows no "sha" in older compilers: leaf 7, EBX bit 29.
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0 && __builtin_cpu_supports("sse4.1");
}
#endif

void sha_blocks(ShaState& state, const unsigned char* data, size_t blocks) {
#if defined(__x86_64__)
  static const bool native = has_sha_instructions();
  if (native) return sha_blocks_native(state, data, blocks);
#endif
  sha_blocks_plain(state, data, blocks);
}

class ShaStream {
 public:
  /// All calls but the last come with a multiple of 64 bytes.
  void add(const unsigned char* data, size_t size) {
    sha_blocks(state_, data, size / 64);
    total_ += size;
    rest_.assign(reinterpret_cast<const char*>(data) + size / 64 * 64, size % 64);
  }
  std::string finish() {
    std::string tail = rest_ + '\x80';
    while (tail.size() % 64 != 56) tail.push_back('\0');
    for (int i = 7; i >= 0; --i) tail.push_back(static_cast<char>(total_ * 8 >> (8 * i) & 255));
    sha_blocks(state_, reinterpret_cast<const unsigned char*>(tail.data()), tail.size() / 64);
    std::string out;
    for (const std::uint32_t word : state_) out += fmt::format("{:08x}", word);
    return out;
  }

 private:
  ShaState state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::uint64_t total_ = 0;
  std::string rest_;
};

}  // namespace

std::string sha256(const void* data, size_t size) {
  ShaStream stream;
  stream.add(static_cast<const unsigned char*>(data), size);
  return stream.finish();
}

std::string sha256_file(const std::filesystem::path& path) {
  const auto fail = [&](int code) {
    throw InputError(fmt::format("{}: cannot read: {}", path.string(), std::strerror(code)));
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail(errno);
  ShaStream stream;
  std::vector<unsigned char> buffer(size_t{1} << 20);
  for (bool more = true; more;) {
    size_t filled = 0;
    while (filled < buffer.size()) {
      const ssize_t n = ::read(fd, buffer.data() + filled, buffer.size() - filled);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        const int code = errno;
        ::close(fd);
        fail(code);
      }
      if (n == 0) break;
      filled += static_cast<size_t>(n);
    }
    more = filled == buffer.size();
    stream.add(buffer.data(), filled);
  }
  ::close(fd);
  return stream.finish();
}

}  // namespace weft::io
