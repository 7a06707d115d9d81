#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linalg/lowrank.h"
#include "merge/coefficients.h"
#include "weft/adapter/adapter.h"
#include "weft/merge/spec.h"

namespace weft::merge {

/// One adapter's update of one block (a module, a group of a convolution, an expert).
struct Part {
  adapter::LowRank update;
  std::string key;  ///< `adapter\nmodule[block]`: keys random masks
  Tensor dense{};   ///< [out, in], added to the factors' product; undefined if none (delta space only)
};

/// How a block is merged: what the executor knows and a space needs.
struct BlockContext {
  const MergeSpec& spec;
  const Coefficients& coefficients;  ///< shares in the order of the parts
  std::int64_t memory = 0;
  int threads = 1;
};

/// ΔW = what the rule makes of the updates themselves: exact low-rank algebra for weighted sums, row tiles otherwise.
linalg::Factored merge_in_delta_space(const std::vector<Part>& parts, const BlockContext& context);

/// What merging A and B apart gives, and how far its cross terms take it from the sum of the same contributions.
struct FactorResult {
  linalg::Factored factors;
  double cross_terms = 0.0;  ///< Frobenius norm of the cross terms
  double intended = 0.0;     ///< Frobenius norm of the sum without them
};

/// PEFT's rule (static-methods B.3, B.4): the operator on {A_i} with weights sign(c)√|c| and on {B_i} with √|c|, c =
/// weight x scale.
FactorResult merge_in_factor_space(const std::vector<Part>& parts, const BlockContext& context);

/// The rule on the deltas of a bias, [out] each: the same entrywise rule on one-column updates, nothing truncated.
Tensor merge_bias(const std::vector<Tensor>& biases, const std::vector<double>& scales,
                  const std::vector<std::string>& keys, const BlockContext& context);

}  // namespace weft::merge
