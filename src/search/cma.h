#pragma once

#include <cstdint>
#include <vector>

#include "search/engine.h"
#include "search/stream.h"
#include "search/symmetric.h"

namespace weft::search {

/// Which CMA-ES.
enum class CmaKind {
  kFull,       ///< full covariance
  kSeparable,  ///< diagonal covariance, learned (n + 2) / 3 times as fast (Ros and Hansen 2008)
  kActive,     ///< full covariance, and bad points push it away (negative weights)
};

/// How a CMA-ES begins.
struct CmaStart {
  CmaKind kind = CmaKind::kFull;
  double sigma = 1.0 / 6;       ///< first step, as a share of the box's width
  std::int64_t population = 0;  ///< 0: 4 + floor(3 ln n)
  bool start_known = false;     ///< the start needs no evaluation of its own
};

/// What the user asked for, for the method of this name. @throws UsageError.
CmaStart cma_start(CmaKind kind, const Problem& box, const OptimizerOptions& options, const char* method);

/**
 * CMA-ES as in Hansen's tutorial (arXiv 1604.00772), in coordinates that make the box one wide. Points that leave the
 * box are clipped at its edges, and it is the clipped point that is learned from, so that the mean stays inside.
 * Points without a finite score are left out of everything. When a run has converged with budget left, the next one
 * begins at a random place with twice the population (IPOP). The first question holds the start itself, which is not
 * learned from.
 */
class CmaEngine : public Engine {
 public:
  CmaEngine(const Problem& box, const CmaStart& start);
  Question propose(std::int64_t left) override;
  void learn(const std::vector<Point>& points, const std::vector<Outcome>& outcomes) override;

 private:
  /// Strategy parameters, from the dimension and the population.
  struct Rates {
    std::vector<double> weights;  // by rank; the first `parents` are positive and sum to 1
    size_t parents = 1;
    double effective = 1;  // variance-effective number of parents
    double path_sigma = 0, damping = 1, path_c = 0, rank_one = 0, rank_mu = 0, expected_norm = 1;
  };

  struct Drawn {
    std::vector<double> step;  // in units of sigma from the mean
    bool clipped = false;      // at the box's edge
  };

  void begin(std::int64_t population, double sigma);
  std::vector<double> drawn();
  void adapt(const std::vector<double>& scores);
  void shorten(std::vector<double>& step, double factor) const;
  bool shorten_clipped();
  bool adapt_paths(const std::vector<double>& shift);
  /// Weights by rank for a generation with this many usable points.
  std::vector<double> weights_for(size_t usable) const;
  void adapt_covariance(const std::vector<const std::vector<double>*>& ranked, const std::vector<double>& weights,
                        bool stalled);
  void refresh();
  std::vector<double> whitened(const std::vector<double>& step) const;
  double deviation(size_t i) const;
  bool converged(const std::vector<double>& scores);

  const Problem box_;
  const CmaStart start_;
  const Point width_;
  const size_t n_;
  Point low_, high_;  // the box, in widths from the start
  Stream stream_;
  Rates rates_;
  std::int64_t population_ = 0, generation_ = 0, decomposed_ = 0;
  double sigma_ = 0;
  std::vector<double> mean_, path_sigma_, path_c_;
  std::vector<double> c_;            // [n, n], or [n] when separable
  Eigen eigen_;                      // of c_; not used when separable
  std::vector<double> root_;         // square roots of the eigenvalues, or of the diagonal
  std::vector<Drawn> steps_;         // of the last question
  std::vector<double> best_scores_;  // of the last generations of this run
  bool start_asked_ = false, start_first_ = false;
};

}  // namespace weft::search
