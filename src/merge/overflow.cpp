#include "merge/overflow.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "weft/core/error.h"

namespace weft::merge {

namespace {

// Squared norms are taken in float32: above about 1.8e19 they overflow.
constexpr double kLargestNorm = 1e18;

double frobenius(const Tensor& x) {
  return at::linalg_vector_norm(x, 2, at::OptionalIntArrayRef(), false, at::kDouble).item<double>();
}

/// A bound on the norm of a part's update, its weight apart; infinite where that is not finite.
double largest_possible(const Part& part) {
  const adapter::LowRank& u = part.update;
  double bound = std::fabs(u.scale) * frobenius(u.b) * frobenius(u.a);
  if (part.dense.defined()) bound += frobenius(part.dense);
  return std::isfinite(bound) ? bound : INFINITY;
}

/// A NaN or Inf always shows in the sum; a sum may also overflow on its own, so only a look at each entry decides.
bool is_finite(const Tensor& x) {
  return std::isfinite(at::sum(x).item<double>()) || at::isfinite(x).all().item<bool>();
}

/// Refuses the largest update if any is too large for the arithmetic.
void refuse_overflow(const std::vector<Part>& parts, const BlockContext& context) {
  size_t worst = 0;
  double most = -1, own = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const double size = largest_possible(parts[i]);
    const double weighted = size * std::max(1.0, std::fabs(context.coefficients.shares[i].weight));
    if (weighted > most) worst = i, most = weighted, own = size;
  }
  most *= std::max(1.0, std::fabs(context.coefficients.factor));
  if (most < kLargestNorm) return;
  const size_t end = parts[worst].key.rfind('\n');
  const std::string where =
      fmt::format("module {} of adapter {}", parts[worst].key.substr(end + 1), parts[worst].key.substr(0, end));
  if (own < kLargestNorm)
    throw UsageError(
        fmt::format("{}: times the weight {:.4g} (lambda {:.4g}) the update is too large for float32; give "
                    "smaller weights",
                    where, context.coefficients.shares[worst].weight, context.coefficients.factor));
  throw InputError(
      fmt::format("{}: the update is too large for float32 (its norm is up to {:.3g}, its scale {:.4g}, "
                  "from lora_alpha and r); expected a norm below {:.0e}",
                  where, own, parts[worst].update.scale, kLargestNorm));
}

}  // namespace

linalg::Factored merge_in_range(const std::vector<Part>& parts, const BlockContext& context,
                                const std::function<linalg::Factored()>& merge) {
  try {
    linalg::Factored out = merge();
    if (!std::isfinite(out.norm) || !is_finite(out.a) || !is_finite(out.b)) {
      refuse_overflow(parts, context);
      throw InputError(fmt::format("module {}: the merged update is not finite; the adapters' numbers are too large",
                                   parts[0].key.substr(parts[0].key.rfind('\n') + 1)));
    }
    return out;
  } catch (const c10::LinAlgError&) {
    refuse_overflow(parts, context);  // a decomposition does not converge on Inf
    throw;
  }
}

}  // namespace weft::merge
