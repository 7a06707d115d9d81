#include "linalg/gram.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace weft::linalg {
namespace {

constexpr double kNegligible = 1e-7;         // below single precision of the largest: rounding of the stored numbers
constexpr std::int64_t kRowsPerBlock = 512;  // rows of a K x K product held at a time

/// Which delta each stacked column belongs to.
std::vector<size_t> column_owners(const std::vector<SingularFactors>& deltas) {
  std::vector<size_t> owners;
  for (size_t i = 0; i < deltas.size(); ++i) owners.insert(owners.end(), static_cast<size_t>(deltas[i].s.numel()), i);
  return owners;
}

/// Adds one row block of both products to the sums; only columns from `first` on, the rest follows by symmetry.
void add_row_block(const Tensor& uu, const Tensor& vv, const std::vector<size_t>& owners, size_t first, size_t n,
                   PairProducts& out) {
  const auto rows = static_cast<size_t>(uu.size(0)), columns = static_cast<size_t>(uu.size(1));
  const double* p = uu.const_data_ptr<double>();
  const double* q = vv.const_data_ptr<double>();
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = r; c < columns; ++c) {  // below the diagonal stand mirror images
      const size_t i = owners[first + r], j = owners[first + c];
      const double x = p[r * columns + c] * (i == j && c > r ? 2.0 : 1.0), y = q[r * columns + c];
      out.gram[i * n + j] += x * y;
      out.overlap[i * n + j] += x * p[r * columns + c];
    }
}

}  // namespace

SingularFactors singular_factors(const Tensor& b, const Tensor& a, double scale) {
  const auto [q_b, r_b] = at::linalg_qr(b.to(at::kDouble), "reduced");
  const auto [q_a, r_a] = at::linalg_qr(a.to(at::kDouble).t(), "reduced");
  const auto [u, s, vh] = at::linalg_svd(at::matmul(r_b, r_a.t()).mul(scale), /*full_matrices=*/false);
  const std::int64_t total = s.numel();
  const double* values = s.const_data_ptr<double>();
  std::int64_t keep = 0;
  while (keep < total && values[keep] > 0 && values[keep] >= kNegligible * values[0]) ++keep;
  return {at::matmul(q_b, u.narrow(1, 0, keep)), s.narrow(0, 0, keep).contiguous(),
          at::matmul(q_a, vh.narrow(0, 0, keep).t())};
}

std::vector<double> singular_values(const Tensor& b, const Tensor& a, double scale) {
  const Tensor s = singular_factors(b, a, scale).s;
  return {s.const_data_ptr<double>(), s.const_data_ptr<double>() + s.numel()};
}

double effective_rank(const std::vector<double>& values) {
  double largest = 0.0;
  for (const double v : values) largest = std::max(largest, v);
  if (largest <= 0.0) return 0.0;
  double energy = 0.0;  // relative to the largest, so that tiny deltas do not underflow
  for (const double v : values) energy += (v / largest) * (v / largest);
  double entropy = 0.0;
  for (const double v : values) {
    const double share = (v / largest) * (v / largest) / energy;
    if (share > 0.0) entropy -= share * std::log(share);
  }
  return std::exp(entropy);
}

PairProducts pair_products(const std::vector<SingularFactors>& deltas) {
  const size_t n = deltas.size();
  PairProducts out{std::vector<double>(n * n, 0.0), std::vector<double>(n * n, 0.0)};
  const std::vector<size_t> owners = column_owners(deltas);
  if (owners.empty()) return out;
  std::vector<Tensor> bases, weighted;
  for (const SingularFactors& d : deltas) {
    bases.push_back(d.u.t());
    weighted.push_back(d.v.t().mul(d.s.unsqueeze(1)));
  }
  const Tensor u = at::cat(bases, 0), v = at::cat(weighted, 0);  // [K, out], [K, in]
  // ⟨Δ_i, Δ_j⟩ sums (u_pᵀu_q)(s_p s_q v_pᵀv_q), and one singular value per side is in `v` already.
  for (std::int64_t first = 0; first < u.size(0); first += kRowsPerBlock) {
    const std::int64_t rows = std::min(kRowsPerBlock, u.size(0) - first), rest = u.size(0) - first;
    const Tensor uu = at::matmul(u.narrow(0, first, rows), u.narrow(0, first, rest).t()).contiguous();
    const Tensor vv = at::matmul(v.narrow(0, first, rows), v.narrow(0, first, rest).t()).contiguous();
    add_row_block(uu, vv, owners, static_cast<size_t>(first), n, out);
  }
  for (size_t i = 0; i < n; ++i)
    for (size_t j = i; j < n; ++j) {
      const auto least = static_cast<double>(std::min(deltas[i].s.numel(), deltas[j].s.numel()));
      out.overlap[i * n + j] = least > 0 ? std::min(out.overlap[i * n + j] / least, 1.0) : 0.0;
      out.overlap[j * n + i] = out.overlap[i * n + j];
      out.gram[j * n + i] = out.gram[i * n + j];
    }
  return out;
}

}  // namespace weft::linalg
