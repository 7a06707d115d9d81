#pragma once

#include <cstdint>
#include <string_view>

#include "weft/core/random.h"

namespace weft::search {

/// Random numbers of one method, one after the other: the same for the same seed and name on every machine.
class Stream {
 public:
  Stream(std::uint64_t seed, std::string_view name) : philox_(hash_key(name, seed)) {}
  /// Uniform in (0, 1), 52 bits.
  double uniform();
  /// Standard normal.
  double normal();
  /// Uniform in 0 .. count - 1; `count` at least 1.
  size_t below(size_t count);

 private:
  std::uint64_t word();

  Philox philox_;
  std::uint64_t counter_ = 0;
};

}  // namespace weft::search
