#include "cma.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace weft::search {

namespace {

double dot_of(const double* a, const double* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

CmaEngine::CmaEngine(const Problem& box, const CmaStart& start)
    : box_(box),
      start_(start),
      width_(widths(box)),
      n_(box.size()),
      low_(n_),
      high_(n_),
      stream_(box.seed, "cma_es"),
      mean_(n_, 0.0),
      start_asked_(start.start_known) {
  for (size_t i = 0; i < n_; ++i) {
    low_[i] = (box_.lower[i] - box_.start[i]) / width_[i];
    high_[i] = (box_.upper[i] - box_.start[i]) / width_[i];
  }
  const std::int64_t usual = 4 + static_cast<std::int64_t>(3 * std::log(static_cast<double>(n_)));
  begin(start.population > 0 ? std::max<std::int64_t>(2, start.population) : usual, start.sigma);
}

std::vector<double> CmaEngine::drawn() {
  std::vector<double> normal(n_), step(n_, 0.0);
  for (double& x : normal) x = stream_.normal();
  for (size_t k = 0; k < n_; ++k) {
    const double length = root_[k] * normal[k];
    if (start_.kind == CmaKind::kSeparable) {
      step[k] = length;
      continue;
    }
    const double* const direction = eigen_.vectors.data() + k * n_;
    for (size_t i = 0; i < n_; ++i) step[i] += length * direction[i];
  }
  return step;
}

Question CmaEngine::propose(std::int64_t left) {
  Question question;
  question.phase = fmt::format("generation {}", generation_ + 1);
  start_first_ = !std::exchange(start_asked_, true);
  if (start_first_) question.points.push_back(box_.start);
  steps_.clear();
  for (std::int64_t k = 0; k < std::min(population_, left); ++k) {
    std::vector<double> step = drawn();
    Point point(n_);
    bool clipped = false;
    for (size_t i = 0; i < n_; ++i) {
      const double wanted = mean_[i] + sigma_ * step[i], place = std::clamp(wanted, low_[i], high_[i]);
      if (place != wanted) clipped = true, step[i] = (place - mean_[i]) / sigma_;
      point[i] = box_.start[i] + width_[i] * place;
    }
    question.points.push_back(std::move(point));
    steps_.push_back({std::move(step), clipped});
  }
  return question;
}

void CmaEngine::learn(const std::vector<Point>& points, const std::vector<Outcome>& outcomes) {
  const size_t first = start_first_ ? 1 : 0;
  if (points.size() != first + static_cast<size_t>(population_)) return;  // the budget ended within a generation
  std::vector<double> scores;
  for (size_t k = first; k < outcomes.size(); ++k) scores.push_back(outcomes[k].score);
  adapt(scores);
  if (!converged(scores)) return;
  constexpr double kAnywhere = 0.3;  // first step of the runs that follow
  for (size_t i = 0; i < n_; ++i) mean_[i] = low_[i] + (high_[i] - low_[i]) * stream_.uniform();
  begin(std::min(2 * population_, std::max(population_, box_.budget)), std::max(start_.sigma, kAnywhere));
}

void CmaEngine::adapt(const std::vector<double>& scores) {
  std::vector<size_t> ranked;
  for (const size_t k : by_score(scores)) {
    if (std::isfinite(scores[k])) ranked.push_back(k);
  }
  if (ranked.empty()) {  // nothing but bad points: look nearer
    sigma_ *= 0.5;
    return;
  }
  std::vector<double> weights = weights_for(ranked.size());
  const size_t parents = std::min(ranked.size(), rates_.parents);
  std::vector<double> shift(n_, 0.0);
  const auto add_parents = [&] {
    std::fill(shift.begin(), shift.end(), 0.0);
    for (size_t k = 0; k < parents; ++k) {
      for (size_t i = 0; i < n_; ++i) shift[i] += weights[k] * steps_[ranked[k]].step[i];
    }
  };
  add_parents();
  for (size_t i = 0; i < n_; ++i) mean_[i] = std::clamp(mean_[i] + sigma_ * shift[i], low_[i], high_[i]);
  if (shorten_clipped()) {
    add_parents();
    shorten(shift, std::sqrt(rates_.effective));
    // Clipping leaves the good steps short, and the bad ones alone would take directions away that are needed.
    for (double& weight : weights) weight = std::max(0.0, weight);
  }
  ++generation_;
  const bool stalled = adapt_paths(shift);
  std::vector<const std::vector<double>*> steps;
  for (const size_t k : ranked) steps.push_back(&steps_[k].step);
  adapt_covariance(steps, weights, stalled);
  refresh();
}

/// A step that the distribution would hardly ever draw comes from clipping at the edge of the box. It is taken for one
/// as long as is usual, or it would blow up the step size (Hansen 2011, "Injecting external solutions into CMA-ES").
void CmaEngine::shorten(std::vector<double>& step, double factor) const {
  const double n = static_cast<double>(n_), most = std::sqrt(n) + 2 * n / (n + 2);
  const std::vector<double> white = whitened(step);
  const double length = factor * std::sqrt(dot_of(white.data(), white.data(), n_));
  if (!(length > most)) return;
  for (double& x : step) x *= most / length;
}

bool CmaEngine::shorten_clipped() {
  bool any = false;
  for (Drawn& drawn : steps_) {
    if (drawn.clipped) shorten(drawn.step, 1), any = true;
  }
  return any;
}

/// Evolution paths and sigma. True when the path is too long to say much about the shape: right after the start, or
/// after a row of long steps.
bool CmaEngine::adapt_paths(const std::vector<double>& shift) {
  const std::vector<double> white = whitened(shift);
  const double cs = rates_.path_sigma, gain = std::sqrt(cs * (2 - cs) * rates_.effective);
  for (size_t i = 0; i < n_; ++i) path_sigma_[i] = (1 - cs) * path_sigma_[i] + gain * white[i];
  const double length = std::sqrt(dot_of(path_sigma_.data(), path_sigma_.data(), n_));
  const double settled = std::sqrt(1 - std::pow(1 - cs, 2.0 * static_cast<double>(generation_)));
  const bool stalled = length / settled >= (1.4 + 2 / (static_cast<double>(n_) + 1)) * rates_.expected_norm;
  const double cc = rates_.path_c, pull = std::sqrt(cc * (2 - cc) * rates_.effective);
  for (size_t i = 0; i < n_; ++i) path_c_[i] = (1 - cc) * path_c_[i] + (stalled ? 0.0 : pull * shift[i]);
  sigma_ *= std::exp(std::min(1.0, cs / rates_.damping * (length / rates_.expected_norm - 1)));
  return stalled;
}

void CmaEngine::adapt_covariance(const std::vector<const std::vector<double>*>& ranked,
                                 const std::vector<double>& weights, bool stalled) {
  const double c1 = rates_.rank_one, cmu = rates_.rank_mu, cc = rates_.path_c;
  double total = 0;
  for (const double w : weights) total += w;
  const double keep = 1 + (stalled ? c1 * cc * (2 - cc) : 0.0) - c1 - cmu * total;
  const bool separable = start_.kind == CmaKind::kSeparable;
  for (double& x : c_) x *= keep;
  const auto add = [&](const std::vector<double>& v, double weight) {
    for (size_t i = 0; i < n_; ++i) {
      if (separable) {
        c_[i] += weight * v[i] * v[i];
        continue;
      }
      const double scaled = weight * v[i];
      for (size_t j = 0; j < n_; ++j) c_[i * n_ + j] += scaled * v[j];
    }
  };
  add(path_c_, c1);
  for (size_t k = 0; k < weights.size(); ++k) {
    double weight = weights[k];
    if (weight < 0) {  // scaled so that no step can make the matrix indefinite
      const std::vector<double> white = whitened(*ranked[k]);
      weight *= std::min(1.0, static_cast<double>(n_) / dot_of(white.data(), white.data(), n_));
    }
    if (weight != 0) add(*ranked[k], cmu * weight);
  }
}

/// Square roots and eigenvectors of the covariance, as seldom as the learning rates allow. No direction becomes so thin
/// that it could not be left again: at the box's edge, where points are clipped, a variance shrinks fast.
void CmaEngine::refresh() {
  constexpr double kThinnest = 1e-12;
  if (start_.kind == CmaKind::kSeparable) {
    const double least = kThinnest * *std::max_element(c_.begin(), c_.end());
    for (size_t i = 0; i < n_; ++i) root_[i] = std::sqrt(c_[i] = std::max(c_[i], least));
    return;
  }
  const double pause = 1 / (10 * static_cast<double>(n_) * (rates_.rank_one + rates_.rank_mu));
  if (static_cast<double>(generation_ - decomposed_) < pause) return;
  decomposed_ = generation_;
  for (size_t i = 0; i < n_; ++i) {
    for (size_t j = 0; j < i; ++j) c_[i * n_ + j] = c_[j * n_ + i] = 0.5 * (c_[i * n_ + j] + c_[j * n_ + i]);
  }
  Eigen eigen = eigen_symmetric(c_, n_);
  if (!eigen.converged) return;
  eigen_ = std::move(eigen);
  const auto [thin, thick] = std::minmax_element(eigen_.values.begin(), eigen_.values.end());
  const double missing = std::max(0.0, kThinnest * *thick - *thin);
  for (size_t k = 0; k < n_; ++k) {
    c_[k * n_ + k] += missing;
    root_[k] = std::sqrt(eigen_.values[k] + missing);
  }
}

std::vector<double> CmaEngine::whitened(const std::vector<double>& step) const {
  std::vector<double> white(n_, 0.0);
  for (size_t k = 0; k < n_; ++k) {
    if (start_.kind == CmaKind::kSeparable) {
      white[k] = step[k] / root_[k];
      continue;
    }
    const double* const direction = eigen_.vectors.data() + k * n_;
    const double along = dot_of(direction, step.data(), n_) / root_[k];
    for (size_t i = 0; i < n_; ++i) white[i] += along * direction[i];
  }
  return white;
}

double CmaEngine::deviation(size_t i) const {
  return sigma_ * std::sqrt(std::max(0.0, c_[start_.kind == CmaKind::kSeparable ? i : i * n_ + i]));
}

/// Steps too short to matter, or no better score for long.
bool CmaEngine::converged(const std::vector<double>& scores) {
  constexpr double kFinest = 1e-10, kFlat = 1e-12;
  double widest = 0;
  for (size_t i = 0; i < n_; ++i) widest = std::max(widest, deviation(i));
  if (widest > 1) sigma_ /= widest;  // steps wider than the box say nothing more
  if (!(widest > kFinest)) return true;
  const double best = *std::min_element(scores.begin(), scores.end());
  if (!std::isfinite(best)) return false;
  best_scores_.push_back(best);
  const size_t memory = 10 + static_cast<size_t>(30 * static_cast<double>(n_) / static_cast<double>(population_));
  if (best_scores_.size() < memory) return false;
  const auto [low, high] =
      std::minmax_element(best_scores_.end() - static_cast<std::ptrdiff_t>(memory), best_scores_.end());
  return !(*high - *low > kFlat * std::abs(*high));
}

CmaStart cma_start(CmaKind kind, const Problem& box, const OptimizerOptions& options, const char* method) {
  CmaStart start;
  start.kind = kind;
  if (options.step > 0) start.sigma = options.step;
  if (options.population > 0) start.population = population_of(options, box, 0, 2, method);
  return start;
}

}  // namespace weft::search
