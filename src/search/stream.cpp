#include "stream.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace weft::search {

std::uint64_t Stream::word() {
  const auto words = philox_.block(counter_ / 2);
  const size_t at = (counter_++ % 2) * 2;
  return (static_cast<std::uint64_t>(words[at]) << 32) | words[at + 1];
}

double Stream::uniform() { return (static_cast<double>(word() >> 12) + 0.5) * 0x1p-52; }

double Stream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

size_t Stream::below(size_t count) {
  return std::min(count - 1, static_cast<size_t>(uniform() * static_cast<double>(count)));
}

}  // namespace weft::search
