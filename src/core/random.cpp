#include "weft/core/random.h"

#include <cmath>
#include <numbers>

namespace weft {

std::uint64_t hash_key(std::string_view text, std::uint64_t seed) {
  std::uint64_t h = 14695981039346656037ull ^ seed;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
  return h ^ (h >> 31);
}

std::array<std::uint32_t, 4> Philox::block(std::uint64_t counter, std::uint64_t stream) const {
  std::array<std::uint32_t, 4> c = {static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
                                    static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)};
  std::uint32_t k0 = static_cast<std::uint32_t>(key_), k1 = static_cast<std::uint32_t>(key_ >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c[0], p1 = std::uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

namespace {

float to_unit(std::uint32_t word) { return (static_cast<float>(word >> 8) + 0.5f) * 0x1p-24f; }

}  // namespace

float Philox::uniform(std::uint64_t index) const { return to_unit(block(index / 4)[index % 4]); }

float Philox::normal(std::uint64_t index) const {
  const auto words = block(index / 2);
  const size_t at = (index % 2) * 2;
  const float radius = std::sqrt(-2.0f * std::log(to_unit(words[at])));
  return radius * std::cos(2.0f * std::numbers::pi_v<float> * to_unit(words[at + 1]));
}

}  // namespace weft
