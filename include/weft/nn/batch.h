#pragma once

#include <cstdint>
#include <vector>

#include "weft/core/error.h"
#include "weft/core/tensor.h"

namespace weft::nn {

/**
 * Sequences of token ids of any lengths. They are laid end to end and never padded, so that a sequence's results do not
 * depend on its neighbours.
 */
struct WEFT_API Batch {
  std::vector<std::vector<std::int64_t>> ids;    ///< at least one id each
  std::vector<std::vector<std::int64_t>> types;  ///< BERT's token types, as long as `ids`; empty: all 0

  /// Drops the padding of a table of ids [n, t] whose mask [n, t] is 0 there, on either side.
  /// @throws UsageError when shapes differ or a row is all padding.
  static Batch from_padded(const Tensor& ids, const Tensor& mask);
  /// Sum of lengths.
  std::int64_t tokens() const;
};

}  // namespace weft::nn
