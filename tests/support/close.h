#pragma once

#include <ATen/ATen.h>

#include "linalg/lowrank.h"
#include "weft/adapter/adapter.h"

namespace weft::test {

/// ‖x − y‖ / ‖y‖ in float64; ‖x‖ where y is zero.
inline double relative(const at::Tensor& x, const at::Tensor& y) {
  const double norm = y.to(at::kDouble).norm().item<double>();
  const double distance = (x.to(at::kDouble) - y.to(at::kDouble)).norm().item<double>();
  return norm > 0 ? distance / norm : distance;
}

/// The dense update of factors, float64.
inline at::Tensor dense(const adapter::LowRank& u) {
  return at::mm(u.b.to(at::kDouble), u.a.to(at::kDouble)) * u.scale;
}

inline at::Tensor dense(const linalg::Factored& f) { return at::mm(f.b.to(at::kDouble), f.a.to(at::kDouble)); }

/// The error of the best approximation of rank k, relative.
inline double best_error(const at::Tensor& matrix, std::int64_t k) {
  const at::Tensor s = at::linalg_svdvals(matrix.to(at::kDouble));
  return (s.narrow(0, k, s.size(0) - k).norm() / s.norm()).item<double>();
}

/// Random factors of the given shape, float32.
inline adapter::LowRank random_update(std::int64_t out, std::int64_t in, std::int64_t rank, double scale = 1.0) {
  return {at::randn({out, rank}), at::randn({rank, in}), scale};
}

}  // namespace weft::test
