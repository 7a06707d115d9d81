// CMA-ES: weights and learning rates (Hansen, arXiv 1604.00772, table 1).
#include <algorithm>
#include <cmath>

#include "cma.h"

namespace weft::search {

namespace {

struct Mass {
  double sum = 0, squares = 0;
  double effective() const { return squares > 0 ? sum * sum / squares : 0; }
};

Mass mass_of(const std::vector<double>& raw, size_t from, size_t to) {
  Mass mass;
  for (size_t i = from; i < to; ++i) mass.sum += raw[i], mass.squares += raw[i] * raw[i];
  return mass;
}

}  // namespace

void CmaEngine::begin(std::int64_t population, double sigma) {
  const double n = static_cast<double>(n_);
  population_ = population;
  const size_t count = static_cast<size_t>(population);
  std::vector<double> raw(count);
  for (size_t i = 0; i < count; ++i) {
    raw[i] = std::log((static_cast<double>(count) + 1) / 2) - std::log(static_cast<double>(i + 1));
  }
  Rates r;
  r.parents = std::max<size_t>(1, count / 2);
  const Mass good = mass_of(raw, 0, r.parents), bad = mass_of(raw, r.parents, count);
  const double mu = r.effective = good.effective();
  r.path_c = (4 + mu / n) / (n + 4 + 2 * mu / n);
  r.path_sigma = (mu + 2) / (n + mu + 5);
  r.damping = 1 + 2 * std::max(0.0, std::sqrt((mu - 1) / (n + 1)) - 1) + r.path_sigma;
  r.rank_one = 2 / ((n + 1.3) * (n + 1.3) + mu);
  r.rank_mu = std::min(1 - r.rank_one, 2 * (0.25 + mu + 1 / mu - 2) / ((n + 2) * (n + 2) + mu));
  if (start_.kind == CmaKind::kSeparable) {
    const double faster = (n + 2) / 3;
    r.rank_one = std::min(0.5, r.rank_one * faster);
    r.rank_mu = std::min(1 - r.rank_one, r.rank_mu * faster);
  }
  r.expected_norm = std::sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
  r.weights.resize(count);
  for (size_t i = 0; i < r.parents; ++i) r.weights[i] = raw[i] / good.sum;
  if (start_.kind == CmaKind::kActive && bad.sum < 0 && r.rank_mu > 0) {
    const double total = std::min({1 + r.rank_one / r.rank_mu, 1 + 2 * bad.effective() / (mu + 2),
                                   (1 - r.rank_one - r.rank_mu) / (n * r.rank_mu)});
    for (size_t i = r.parents; i < count; ++i) r.weights[i] = std::min(0.0, raw[i] * total / -bad.sum);
  }
  rates_ = std::move(r);
  sigma_ = sigma;
  generation_ = decomposed_ = 0;
  path_sigma_.assign(n_, 0.0);
  path_c_.assign(n_, 0.0);
  root_.assign(n_, 1.0);
  best_scores_.clear();
  const bool separable = start_.kind == CmaKind::kSeparable;
  c_.assign(separable ? n_ : n_ * n_, separable ? 1.0 : 0.0);
  eigen_.vectors.assign(separable ? 0 : n_ * n_, 0.0);
  for (size_t i = 0; i < n_ && !separable; ++i) c_[i * n_ + i] = eigen_.vectors[i * n_ + i] = 1;
}

std::vector<double> CmaEngine::weights_for(size_t usable) const {
  if (usable >= rates_.weights.size()) return rates_.weights;
  // The points without a score were the worst: the ranks that are left keep their weights, the positive ones summing
  // to 1.
  std::vector<double> weights(rates_.weights.begin(), rates_.weights.begin() + static_cast<std::ptrdiff_t>(usable));
  const double sum = mass_of(weights, 0, std::min(usable, rates_.parents)).sum;
  for (size_t i = 0; i < std::min(usable, rates_.parents); ++i) weights[i] /= sum;
  return weights;
}

}  // namespace weft::search
