#pragma once

#include <cstdint>
#include <vector>

#include "nn/expert_data.h"
#include "nn/gate.h"
#include "nn/run.h"

namespace weft::nn {

/// What a gate says of one module, for plain loops and for operators. Empty where no expert acts.
class SiteWeights {
 public:
  SiteWeights() = default;
  /// Asks the run's gate. @throws Error when its answer does not fit tokens or experts.
  SiteWeights(const Run& run, std::string_view module, std::int64_t index, const Tensor& input, std::int64_t tokens);

  bool present() const { return rows_.weights.defined(); }
  /// One row holds for all tokens.
  bool uniform() const { return !rows_.row_of_token.defined(); }
  std::int64_t experts() const { return experts_; }
  /// Weights [N] of a token; only where weights are on the CPU.
  const float* of_token(std::int64_t token) const { return data_ + (row_of_ ? row_of_[token] : 0) * experts_; }
  std::int64_t row_of(std::int64_t token) const { return row_of_ ? row_of_[token] : 0; }
  /// [tokens, N], or [1, N] when uniform, on `device`; differentiable.
  Tensor by_token(const c10::Device& device) const;
  const Tensor& tensor() const { return rows_.weights; }

 private:
  GateRows rows_;
  const float* data_ = nullptr;
  const std::int64_t* row_of_ = nullptr;
  std::int64_t experts_ = 0;
};

}  // namespace weft::nn
