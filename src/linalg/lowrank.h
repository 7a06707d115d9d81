#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "weft/core/tensor.h"

namespace weft::linalg {

/// One term `scale · b · a` of a sum: b [m, r], a [r, n], any float dtype.
struct Term {
  Tensor b, a;
  double scale = 1.0;
};

/// A matrix in factors with what was left out of it: b [m, k], a [k, n], float32, balanced (b = U √Σ, a = √Σ Vᵀ).
struct Factored {
  Tensor b, a;
  double norm = 0.0;   ///< Frobenius norm of the whole matrix
  double error = 0.0;  ///< relative Frobenius error of these factors, as the discarded singular values tell it
};

/// Chooses a rank from the singular values (descending) of a matrix of the given Frobenius norm.
using RankChoice = std::function<std::int64_t(const std::vector<double>& sigma, double norm)>;

/// The sum as one pair of factors of rank Σr, no arithmetic but the scales (their roots on each side, signs on a).
/// float32.
Factored stack(const std::vector<Term>& terms);

/**
 * Best approximation of a sum of low-rank terms, without forming the m x n matrix: rank from `choose`.
 *
 * In float64: with Â = D·Ã (rows of Ã of length one) and ÃÃᵀ = L Lᵀ, the eigenvalues of (D L)ᵀ B̂ᵀB̂ (D L) are the
 * squared singular values: two Gram matrices, one Cholesky factor, one R x R eigenproblem. When the rows of Ã are
 * nearly dependent (duplicate adapters), QR factors of both stacks and an SVD of their R x R core replace it, which no
 * rank deficiency can harm. O((m + n) R² + R³) time, O((m + n) R) memory. From R = min(m, n) on factors save nothing:
 * the sum is then formed and goes to truncate_dense().
 */
Factored truncate_sum(const std::vector<Term>& terms, const RankChoice& choose);

/// The singular values of one term or a sum, descending, at most min(R, m, n) of them.
std::vector<double> singular_values(const std::vector<Term>& terms);

/// Best approximation of a dense matrix [m, n] through its full SVD: in float64 up to min(m, n) = 256, else in float32.
Factored truncate_dense(const Tensor& matrix, const RankChoice& choose);

/// Balanced factors from a thin SVD u [m, k], s [k], v [n, k] (float64): signs fixed so that the largest entry of each
/// column of u is positive.
Factored balance(const Tensor& u, const Tensor& s, const Tensor& v, std::int64_t rank, double norm);

}  // namespace weft::linalg
