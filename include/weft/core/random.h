#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "weft/core/error.h"

namespace weft {

/// A 64-bit key of a text (FNV-1a with a final mix); equal on every machine.
WEFT_API std::uint64_t hash_key(std::string_view text, std::uint64_t seed = 0);

/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
 * The i-th block of four words depends on the key and i alone, so tiles, threads and order cannot change a mask.
 */
class WEFT_API Philox {
 public:
  explicit Philox(std::uint64_t key) : key_(key) {}
  /// The four 32-bit words of block `counter` in stream `stream`.
  std::array<std::uint32_t, 4> block(std::uint64_t counter, std::uint64_t stream = 0) const;
  /// Uniform in (0, 1) with 24 bits for element `index`.
  float uniform(std::uint64_t index) const;
  /// Standard normal for element `index` (Box-Muller on two words of the block).
  float normal(std::uint64_t index) const;

 private:
  std::uint64_t key_;
};

}  // namespace weft
