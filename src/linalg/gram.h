#pragma once

#include <vector>

#include "weft/core/tensor.h"

namespace weft::linalg {

/// A factored delta in its singular basis, float64: `scale · b · a = u · diag(s) · vᵀ`.
struct SingularFactors {
  Tensor u;  ///< [out, k], orthonormal columns
  Tensor s;  ///< [k], descending, all above 1e-7 of the first; k = 0 for a zero delta
  Tensor v;  ///< [in, k], orthonormal columns
};

/**
 * The thin SVD of `scale · b · a` (`b` [out, r], `a` [r, in], any floating dtype, finite) by QR of both factors and an
 * SVD of the r x r core, in float64. No dense product, and no squared condition number.
 */
SingularFactors singular_factors(const Tensor& b, const Tensor& a, double scale);

/// The singular values of `scale · b · a` above 1e-7 of the largest, descending.
std::vector<double> singular_values(const Tensor& b, const Tensor& a, double scale);

/// exp of the entropy of the normalised squared values: how many directions carry the energy. 0 for a zero delta.
double effective_rank(const std::vector<double>& values);

/// Sums over all pairs of deltas of one module.
struct PairProducts {
  std::vector<double> gram;     ///< [n·n], ⟨Δ_i, Δ_j⟩
  std::vector<double> overlap;  ///< [n·n], ‖U_iᵀU_j‖² / min(k_i, k_j); 0 where a delta is zero
};

/**
 * All pairs of n deltas of one shape, from their singular bases stacked: two products of size K = Σk instead of n²
 * small ones, row block by row block, so that memory stays linear in K.
 */
PairProducts pair_products(const std::vector<SingularFactors>& deltas);

}  // namespace weft::linalg
