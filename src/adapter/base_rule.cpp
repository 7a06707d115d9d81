// Ordinary deltas from updates that were trained against a rescaled or altered base.
//   DoRA: Liu et al. 2024, arXiv:2402.09353; PiSSA: Meng et al. 2024, arXiv:2404.02948; OLoRA: Büyükakyüz 2024,
//   arXiv:2406.01775; KaSA: Wang et al. 2024, arXiv:2412.06071 (conventions as in PEFT 0.21.2)
#include "adapter/base_rule.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace weft::adapter {

namespace {

constexpr std::int64_t kNormRows = 256;  // rows of weight + delta that exist at a time

/// The part of `weight` in its `rank` largest or smallest singular directions, as factors in float64. The Gram matrix
/// of the shorter side has them as eigenvectors; in float64 they are as exact as a float32 SVD's at a tenth of the
/// time.
LowRank singular_part(const Tensor& weight, std::int64_t rank, bool largest) {
  const Tensor w = weight.to(at::kDouble);
  const bool tall = w.size(0) >= w.size(1);
  const auto [values, vectors] = at::linalg_eigh(tall ? at::mm(w.t(), w) : at::mm(w, w.t()));
  const std::int64_t n = vectors.size(1), kept = std::min(rank, n);
  const Tensor v = vectors.narrow(1, largest ? n - kept : 0, kept);
  if (tall) return {at::mm(w, v), v.t(), 1.0};
  return {v, at::mm(v.t(), w), 1.0};
}

/// The first columns of Q and rows of R of the weight as it is stored.
LowRank leading_qr(const Tensor& weight, bool transposed, std::int64_t rank, double scale) {
  const Tensor stored = (transposed ? weight.t() : weight).to(at::kDouble);
  const auto [q, r] = at::linalg_qr(stored, "reduced");
  const std::int64_t kept = std::min(rank, q.size(1));
  const Tensor b = q.narrow(1, 0, kept), a = r.narrow(0, 0, kept);
  if (transposed) return {a.t(), b.t(), scale};
  return {b, a, scale};
}

LowRank removed_part(const Tensor& weight, bool transposed, const BaseRule& rule, const LowRank& update) {
  const std::int64_t rank = update.a.size(0);
  if (rule.removed == Removed::kQr) return leading_qr(weight, transposed, rank, update.scale);
  return singular_part(weight, rank, rule.removed == Removed::kLeading);
}

/// update − removed, in float64: what is left is often much smaller than either.
LowRank difference(const LowRank& update, const LowRank& removed) {
  const Tensor b = at::cat({update.b.to(at::kDouble) * update.scale, removed.b.to(at::kDouble) * -removed.scale}, 1);
  return {b, at::cat({update.a.to(at::kDouble), removed.a.to(at::kDouble)}, 0), 1.0};
}

/// Norms of the rows of weight + scale·b·a, float64, without the dense sum.
Tensor row_norms(const Tensor& weight, const LowRank& update) {
  const Tensor b = (update.b.to(at::kDouble) * update.scale).to(at::kFloat), a = update.a.to(at::kFloat);
  Tensor out = at::empty({weight.size(0)}, at::kDouble);
  for (std::int64_t i = 0; i < weight.size(0); i += kNormRows) {
    const std::int64_t n = std::min(kNormRows, weight.size(0) - i);
    const Tensor rows = at::addmm(weight.narrow(0, i, n).to(at::kFloat), b.narrow(0, i, n), a);
    out.narrow(0, i, n).copy_(at::linalg_vector_norm(rows, 2, at::IntArrayRef{1}, false, at::kDouble));
  }
  return out;
}

void fold_magnitude(ModuleUpdate& update, const Tensor& weight, const std::string& where) {
  LowRank& low = update.blocks[0];
  const Tensor g = update.magnitude.to(at::kDouble) / row_norms(weight, low);
  if (!at::isfinite(g).all().item<bool>())
    throw InputError(fmt::format(
        "{}: a row of the base weight plus the update is zero, so DoRA's scale of it is not defined", where));
  const Tensor column = g.reshape({-1, 1});
  low = {low.b.to(at::kDouble) * column * low.scale, low.a, 1.0};
  if (low.a.scalar_type() != at::kDouble) low.b = low.b.to(at::kFloat);
  update.dense = weight.to(at::kFloat) * (column - 1.0).to(at::kFloat);
  update.magnitude = Tensor();
}

}  // namespace

ModuleUpdate rebase_update(ModuleUpdate update, const Tensor& weight, bool transposed, const BaseRule& rule,
                           const std::string& where) {
  LowRank& low = update.blocks[0];
  if (update.bias.defined()) update.bias = update.bias.to(at::kDouble) * low.scale;  // blocks[0].scale becomes 1
  if (rule.removed != Removed::kNothing) low = difference(low, removed_part(weight, transposed, rule, low));
  if (rule.dora) fold_magnitude(update, weight, where);
  return update;
}

}  // namespace weft::adapter
