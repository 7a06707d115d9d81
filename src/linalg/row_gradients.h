#pragma once

#include <cstdint>
#include <vector>

#include "linalg/row_ops.h"

namespace weft::linalg {

// Gradients of the operations of row_ops.h, on rows without gaps. `threads` as there; the bits do not depend on it.

/// A norm of rows and its gradients, all [rows, cols].
struct NormGradient {
  const float* x = nullptr;   ///< what was normalised
  const float* dy = nullptr;  ///< gradient of the loss by the result
  float* dx = nullptr;        ///< receives that by x; may be dy
  std::int64_t rows = 0, cols = 0;
  const float* weight = nullptr;  ///< [cols]
  float offset = 0.0f;            ///< added to the weight (Gemma: 1)
  float eps = 0.0f;
  float* d_weight = nullptr;  ///< [cols], is added to; null: not wanted
  float* d_bias = nullptr;    ///< [cols], is added to; null: not wanted, or there is none
};

void rms_norm_gradient(const NormGradient& io, int threads = 0);
void layer_norm_gradient(const NormGradient& io, int threads = 0);

/// y = f(x) · up on [rows, cols] and its gradients.
struct ActivateGradient {
  const float* x = nullptr;
  std::int64_t ldx = 0;
  const float* up = nullptr;  ///< null: there is no factor
  std::int64_t ld_up = 0;
  const float* dy = nullptr;
  std::int64_t ldy = 0;
  float* dx = nullptr;
  std::int64_t ld_dx = 0;
  float* d_up = nullptr;  ///< where there is a factor
  std::int64_t ld_d_up = 0;
  std::int64_t rows = 0, cols = 0;
};

void activate_gradient(const ActivateGradient& io, Activation f, int threads = 0);

/// Rows of scores that become log-likelihoods: row i keeps log Σ exp(row) − row[target].
struct LikelihoodRows {
  float* scores = nullptr;  ///< [rows, cols]; with `gradient` they become the gradient of the result by them
  std::int64_t ld = 0, rows = 0, cols = 0;
  const std::int64_t* target = nullptr;  ///< [rows], each in [0, cols)
  float* nll = nullptr;                  ///< [rows]
  bool gradient = false;
};

/// −log softmax of the targets. NaN and infinite scores give NaN.
void likelihood(const LikelihoodRows& io, int threads = 0);

/// The loops of this header for one instruction set, one row at a time.
struct GradientKernels {
  void (*rms_norm)(const NormGradient& io, std::int64_t row, float* d_weight);
  void (*layer_norm)(const NormGradient& io, std::int64_t row, float* d_weight, float* d_bias);
  void (*activate)(const float* x, const float* up, const float* dy, float* dx, float* d_up, std::int64_t n,
                   Activation f);
  void (*likelihood)(const LikelihoodRows& io, std::int64_t row);
  const char* name;
};

/// Every set this processor runs, the plainest first; the last is the one in use.
const std::vector<GradientKernels>& all_gradient_kernels();

}  // namespace weft::linalg
