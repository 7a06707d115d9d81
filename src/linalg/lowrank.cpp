#include "linalg/lowrank.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

namespace weft::linalg {

namespace {

/// Below this ratio of pivots the rows count as dependent: the Gram matrix then holds fewer than six digits of them.
constexpr double kDependent = 1e-9;
/// Squared singular values below this share of the largest are rounding noise of the float64 eigenproblem.
constexpr double kNoise = 1e-15;

/// Rows of B̂ and columns of Â that are converted to float64 at a time, so that no whole stack is ever doubled.
constexpr std::int64_t kChunk = 2048;

/// Rows [row, row + count) of B̂, float64. Concatenated as stored and converted once: fewer passes for many small terms.
Tensor b_chunk(const std::vector<Term>& terms, std::int64_t row, std::int64_t count) {
  std::vector<Tensor> parts;
  for (const Term& t : terms) parts.push_back(t.b.narrow(0, row, count));
  return at::cat(parts, 1).to(at::kDouble);
}

/// Columns [col, col + count) of Â without the scales, float64.
Tensor a_chunk(const std::vector<Term>& terms, std::int64_t col, std::int64_t count) {
  std::vector<Tensor> parts;
  for (const Term& t : terms) parts.push_back(t.a.narrow(1, col, count));
  return at::cat(parts, 0).to(at::kDouble);
}

/// The scale of every row of Â, [R] float64.
Tensor row_scales(const std::vector<Term>& terms) {
  std::vector<double> scales;
  for (const Term& t : terms) scales.insert(scales.end(), static_cast<size_t>(t.a.size(0)), t.scale);
  return at::tensor(scales, at::kDouble);
}

std::int64_t rows_of(const std::vector<Term>& terms) { return terms[0].b.size(0); }
std::int64_t cols_of(const std::vector<Term>& terms) { return terms[0].a.size(1); }

std::int64_t rank_sum(const std::vector<Term>& terms) {
  std::int64_t sum = 0;
  for (const Term& t : terms) sum += t.a.size(0);
  return sum;
}

/// Calls `body(first, count)` over [0, size) in chunks.
template <class Body>
void in_chunks(std::int64_t size, const Body& body) {
  for (std::int64_t i = 0; i < size; i += kChunk) body(i, std::min(kChunk, size - i));
}

Tensor gram_of_b(const std::vector<Term>& terms) {
  const std::int64_t r = rank_sum(terms);
  Tensor gram = at::zeros({r, r}, at::kDouble);
  in_chunks(rows_of(terms), [&](std::int64_t i, std::int64_t n) {
    const Tensor c = b_chunk(terms, i, n);
    gram.addmm_(c.t(), c);
  });
  return gram;
}

Tensor gram_of_a(const std::vector<Term>& terms) {
  const std::int64_t r = rank_sum(terms);
  Tensor gram = at::zeros({r, r}, at::kDouble);
  in_chunks(cols_of(terms), [&](std::int64_t j, std::int64_t n) {
    const Tensor c = a_chunk(terms, j, n);
    gram.addmm_(c, c.t());
  });
  return gram;
}

std::vector<double> to_vector(const Tensor& t) {
  const Tensor c = t.contiguous();
  return {c.const_data_ptr<double>(), c.const_data_ptr<double>() + c.numel()};
}

double tail(const std::vector<double>& sigma, std::int64_t rank) {
  double sum = 0;
  for (size_t i = static_cast<size_t>(rank); i < sigma.size(); ++i) sum += sigma[i] * sigma[i];
  return sum;
}

double total(const std::vector<double>& sigma) { return std::sqrt(tail(sigma, 0)); }

/// Signs that make the entry of largest magnitude in every column of u positive (the first of equals).
Tensor column_signs(const Tensor& u) {
  const Tensor at_largest = u.gather(0, u.abs().argmax(0, /*keepdim=*/true)).squeeze(0);
  return at::where(at_largest.lt(0), -at::ones_like(at_largest), at::ones_like(at_largest));
}

Factored empty_factors(const std::vector<Term>& terms) {
  const auto options = terms[0].b.options().dtype(at::kFloat);
  return {at::zeros({terms[0].b.size(0), 1}, options), at::zeros({1, terms[0].a.size(1)}, options), 0.0, 0.0};
}

struct Gram {
  std::vector<double> sigma;  // descending
  Tensor vectors;             // [R, R] eigenvectors, same order
  Tensor length;              // [R] lengths of the rows of Â without their scales
  Tensor weight;              // [R] lengths times scales: D
  Tensor factor;              // [R, R] lower triangular L
  bool usable = false;
};

Gram gram_spectrum(const std::vector<Term>& terms) {
  Gram out;
  const Tensor gram_a = gram_of_a(terms);
  const Tensor length = gram_a.diagonal().sqrt();
  out.length = at::where(length.gt(0), length, at::ones_like(length));
  out.weight = length * row_scales(terms);
  Tensor unit = gram_a / out.length.unsqueeze(1) / out.length.unsqueeze(0);
  // A row of zeros contributes nothing: any length will do for it.
  unit.diagonal().fill_(1.0);
  const auto [factor, info] = at::linalg_cholesky_ex(unit);
  if (info.item<int>() != 0) return out;
  const Tensor pivots = factor.diagonal();
  if (pivots.min().item<double>() < std::sqrt(kDependent)) return out;
  out.factor = factor;
  const Tensor scaled = out.weight.unsqueeze(1) * factor;  // D L
  const Tensor core = at::mm(at::mm(scaled.t(), gram_of_b(terms)), scaled);
  auto [values, vectors] = at::linalg_eigh((core + core.t()) * 0.5);
  out.vectors = vectors.flip(1);
  out.sigma = to_vector(values.flip(0).clamp_min(0).sqrt());
  const double noise = std::sqrt(kNoise * static_cast<double>(out.sigma.size())) * out.sigma.front();
  for (double& s : out.sigma)
    if (s <= noise) s = 0.0;
  out.usable = true;
  return out;
}

Factored from_gram(const std::vector<Term>& terms, const Gram& g, std::int64_t rank, double norm) {
  const Tensor v = g.vectors.narrow(1, 0, rank);
  const Tensor sigma = at::tensor(std::vector<double>(g.sigma.begin(), g.sigma.begin() + rank), at::kDouble);
  const Tensor root = sigma.sqrt();
  // u √Σ = B̂ D L v / √Σ;   √Σ vᵀ = √Σ (L⁻ᵀ v)ᵀ Ã
  const Tensor to_left = at::mm(g.weight.unsqueeze(1) * g.factor, v) / root;
  const Tensor solved = at::linalg_solve_triangular(g.factor.t(), v, /*upper=*/true);
  const Tensor to_right = (solved / g.length.unsqueeze(1) * root).t();
  Factored out{at::empty({rows_of(terms), rank}, at::kFloat), at::empty({rank, cols_of(terms)}, at::kFloat), norm, 0.0};
  in_chunks(rows_of(terms), [&](std::int64_t i, std::int64_t n) {
    out.b.narrow(0, i, n).copy_(at::mm(b_chunk(terms, i, n), to_left));
  });
  const Tensor signs = column_signs(out.b);
  out.b.mul_(signs);
  const Tensor signed_right = to_right * signs.to(at::kDouble).unsqueeze(1);
  in_chunks(cols_of(terms), [&](std::int64_t j, std::int64_t n) {
    out.a.narrow(1, j, n).copy_(at::mm(signed_right, a_chunk(terms, j, n)));
  });
  out.error = norm > 0 ? std::sqrt(tail(g.sigma, rank)) / norm : 0.0;
  return out;
}

struct Core {
  Tensor qb, qa;   // [m, kb], [n, ka]
  Tensor u, s, v;  // SVD of the core
};

Core qr_core(const Tensor& b, const Tensor& a) {
  const auto [qb, rb] = at::linalg_qr(b);
  const auto [qa, ra] = at::linalg_qr(a.t());
  const auto [u, s, vh] = at::linalg_svd(at::mm(rb, ra.t()), /*full_matrices=*/false);
  return {qb, qa, u, s, vh.t()};
}

/// `wanted`, but no more than there are singular values above the noise of `dtype`, and at least one.
std::int64_t usable_rank(const std::vector<double>& sigma, std::int64_t wanted, c10::ScalarType dtype = at::kDouble) {
  const double unit = dtype == at::kDouble ? 1e-14 * static_cast<double>(sigma.size()) : 1.2e-7;
  const double noise = unit * sigma.front();
  std::int64_t alive = 0;
  while (alive < static_cast<std::int64_t>(sigma.size()) && sigma[static_cast<size_t>(alive)] > noise) ++alive;
  return std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(alive, 1));
}

/// Up to this min(m, n) a dense SVD is small and taken in float64.
constexpr std::int64_t kSmallDense = 256;

}  // namespace

Factored stack(const std::vector<Term>& terms) {
  std::vector<Tensor> bs, as;
  for (const Term& t : terms) {
    const double root = std::sqrt(std::fabs(t.scale));
    bs.push_back(t.b.to(at::kFloat) * root);
    as.push_back(t.a.to(at::kFloat) * std::copysign(root, t.scale));
  }
  return {at::cat(bs, 1), at::cat(as, 0), 0.0, 0.0};
}

Factored balance(const Tensor& u, const Tensor& s, const Tensor& v, std::int64_t rank, double norm) {
  const std::vector<double> sigma = to_vector(s.to(at::kDouble));
  const Tensor left = u.narrow(1, 0, rank);
  const Tensor root = s.narrow(0, 0, rank).sqrt() * column_signs(left);
  const Tensor plain = s.narrow(0, 0, rank).sqrt();
  const double kept = total(sigma) > 0 ? tail(sigma, 0) - tail(sigma, rank) : 0.0;
  const double lost = std::max(0.0, norm * norm - kept);
  return {(left * root).to(at::kFloat), (v.narrow(1, 0, rank) * root.sign() * plain).t().to(at::kFloat), norm,
          norm > 0 ? std::sqrt(lost) / norm : 0.0};
}

Factored truncate_sum(const std::vector<Term>& terms, const RankChoice& choose) {
  const Tensor scales = row_scales(terms);
  if (rank_sum(terms) >= std::min(rows_of(terms), cols_of(terms))) {
    const Tensor left = b_chunk(terms, 0, rows_of(terms)) * scales;
    return truncate_dense(at::mm(left, a_chunk(terms, 0, cols_of(terms))), choose);
  }
  if (const Gram g = gram_spectrum(terms); g.usable) {
    const double norm = total(g.sigma);
    if (norm == 0) return empty_factors(terms);
    return from_gram(terms, g, usable_rank(g.sigma, choose(g.sigma, norm)), norm);
  }
  const Core core = qr_core(b_chunk(terms, 0, rows_of(terms)), scales.unsqueeze(1) * a_chunk(terms, 0, cols_of(terms)));
  const std::vector<double> sigma = to_vector(core.s);
  const double norm = total(sigma);
  if (norm == 0) return empty_factors(terms);
  const std::int64_t rank = usable_rank(sigma, choose(sigma, norm));
  Factored out = balance(at::mm(core.qb, core.u), core.s, at::mm(core.qa, core.v), rank, norm);
  out.error = std::sqrt(tail(sigma, rank)) / norm;
  return out;
}

std::vector<double> singular_values(const std::vector<Term>& terms) {
  return to_vector(
      qr_core(b_chunk(terms, 0, rows_of(terms)), row_scales(terms).unsqueeze(1) * a_chunk(terms, 0, cols_of(terms))).s);
}

Factored truncate_dense(const Tensor& matrix, const RankChoice& choose) {
  const auto dtype = std::min(matrix.size(0), matrix.size(1)) <= kSmallDense ? at::kDouble : at::kFloat;
  const auto [u, s, vh] = at::linalg_svd(matrix.to(dtype), /*full_matrices=*/false);
  const std::vector<double> sigma = to_vector(s.to(at::kDouble));
  const double norm = total(sigma);
  if (norm == 0)
    return {at::zeros({matrix.size(0), 1}, at::kFloat), at::zeros({1, matrix.size(1)}, at::kFloat), 0.0, 0.0};
  const std::int64_t rank = usable_rank(sigma, choose(sigma, norm), dtype);
  Factored out = balance(u, s, vh.t(), rank, norm);
  out.error = std::sqrt(tail(sigma, rank)) / norm;
  return out;
}

}  // namespace weft::linalg
