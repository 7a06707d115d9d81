#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "weft/core/tensor.h"
#include "weft/nn/experts.h"

namespace weft::nn {

struct Layout;

/// Where a gate is asked: one adapted module.
struct GateSite {
  std::string_view module;
  std::int64_t index = 0;  ///< in Experts::modules()
};

/// Weights of the experts for the tokens of a batch: row `row_of_token[t]` of `weights`, or row 0 for all tokens.
struct GateRows {
  Tensor weights;       ///< float32 [rows, N]
  Tensor row_of_token;  ///< int64 [tokens], or undefined: one row for all
};

/// Decides the middle matrix of every composition-aware linear. Implementations are thread-safe for const use.
class Gate {
 public:
  virtual ~Gate() = default;
  virtual Rule rule() const { return Rule::kDelta; }
  /// `input` [tokens, in] is what the module is about to read (an embedding's is undefined).
  virtual GateRows rows(const GateSite& site, const Tensor& input, const Layout& layout) const = 0;
};

/// A gate that reads its weights from a Mix. @throws UsageError when the mix does not fit experts or layout (count,
/// rows, groups, non-finite weights, unequal ranks with kFactors), naming both.
std::unique_ptr<Gate> make_gate(const Mix& mix, const Experts& experts, const Layout& layout);

}  // namespace weft::nn
