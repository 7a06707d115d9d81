#pragma once

#include <cstdint>
#include <vector>

#include "linalg/few_rows.h"
#include "nn/modules.h"

namespace weft::nn {

/// Up to this many tokens our own kernels multiply; libtorch's products are faster for more.
inline constexpr std::int64_t kFewTokens = 16;

/// True if libtorch is to record what is done with `tensor` for gradients.
bool records(const Tensor& tensor);
/// True if few_rows() can read the matrix where it is: on the CPU, of a dtype it knows, rows not strided.
bool readable(const Tensor& matrix);
/// How few_rows() names the dtype of a readable matrix.
linalg::Stored stored_as(const Tensor& matrix);
/// The matrix as a part of few_rows(): y (+)= x · matrixᵀ, or x · matrix when transposed. `y` [m, out] float32.
linalg::FewRowsPart part_of(const Tensor& matrix, bool transposed, Tensor& y);

/// Outputs of a weight that are converted at a time: few megabytes, yet products of them are as fast as of all.
std::int64_t block_of_outputs(std::int64_t out, std::int64_t in);
/// y (+)= x · Wᵀ into y [tokens, out] float32, without gradients, for any number of tokens and any stored dtype.
void multiply_into(Tensor& y, const Tensor& x, const Tensor& weight, bool transposed, bool accumulate);
/// x · Wᵀ + bias as operators that libtorch can differentiate, float32. On a CPU the weight is widened; elsewhere x
/// takes the dtype of the weight.
Tensor linear_map(const Tensor& x, const Tensor& weight, bool transposed, const Tensor& bias);
/// x · Wᵀ, float32 [tokens, out], by whichever of these suits x and the weight.
Tensor product(const Tensor& x, const Tensor& weight, bool transposed);

}  // namespace weft::nn
