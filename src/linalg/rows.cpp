#include "linalg/rows.h"

#include <ATen/ATen.h>

#include <cmath>

#include "linalg/kernels.h"
#include "weft/core/random.h"

namespace weft::linalg {

FactoredRows::FactoredRows(const Tensor& b, const Tensor& a, double scale)
    : b_((b.to(at::kFloat) * scale).contiguous()),
      a_(a.to(at::kFloat).contiguous()),
      rows_(b.size(0)),
      cols_(a.size(1)),
      rank_(a.size(0)) {}

FactoredRows::FactoredRows(const Tensor& b, const Tensor& a, double scale, const Tensor& dense)
    : FactoredRows(b, a, scale) {
  if (dense.defined()) dense_ = dense.to(at::kFloat).contiguous();
}

void FactoredRows::block(std::int64_t i0, std::int64_t i1, std::int64_t j0, std::int64_t j1, float* out,
                         std::int64_t ldo) const {
  kernels().product(b_.const_data_ptr<float>() + i0 * rank_, rank_, a_.const_data_ptr<float>() + j0, cols_, i1 - i0,
                    rank_, j1 - j0, out, ldo);
  if (!dense_.defined()) return;
  for (std::int64_t i = i0; i < i1; ++i) {
    const float* from = dense_.const_data_ptr<float>() + i * cols_ + j0;
    float* to = out + (i - i0) * ldo;
    for (std::int64_t j = 0; j < j1 - j0; ++j) to[j] += from[j];
  }
}

std::vector<float> FactoredRows::sample_magnitudes(std::int64_t count, std::uint64_t key) const {
  const Philox random(key);
  std::vector<std::int64_t> row(static_cast<size_t>(count)), col(row.size());
  for (size_t s = 0; s < row.size(); ++s) {
    const auto words = random.block(s);
    row[s] = static_cast<std::int64_t>((std::uint64_t{words[0]} * static_cast<std::uint64_t>(rows_)) >> 32);
    col[s] = static_cast<std::int64_t>((std::uint64_t{words[1]} * static_cast<std::uint64_t>(cols_)) >> 32);
  }
  std::vector<float> out(row.size(), 0.0f);
  const float* b = b_.const_data_ptr<float>();
  // One row of a at a time: it fits the first-level cache, single columns of a would not.
  for (std::int64_t p = 0; p < rank_; ++p) {
    const float* a = a_.const_data_ptr<float>() + p * cols_;
    for (size_t s = 0; s < out.size(); ++s) out[s] += b[row[s] * rank_ + p] * a[col[s]];
  }
  for (size_t s = 0; dense_.defined() && s < out.size(); ++s)
    out[s] += dense_.const_data_ptr<float>()[row[s] * cols_ + col[s]];
  for (float& v : out) v = std::fabs(v);
  return out;
}

}  // namespace weft::linalg
