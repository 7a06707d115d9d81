#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "weft/search/optimizer.h"

namespace weft::search {

/**
 * A method at work on a box in which every coordinate moves. What is the same for all of them (fixed coordinates, the
 * budget, the box's edges, scores that are no numbers, who may call what when) is done once, by the driver.
 */
class Engine {
 public:
  virtual ~Engine() = default;
  /// What to evaluate next; empty: nothing more to try. Points may lie outside the box (the nearest one is taken) and
  /// more may be asked than `left` evaluations allow (the first ones are taken).
  virtual Question propose(std::int64_t left) = 0;
  /// What was found at the points as they were evaluated. Scores are finite or +infinity, gradients have the right
  /// size.
  virtual void learn(const std::vector<Point>& points, const std::vector<Outcome>& outcomes) = 0;
  /// See Optimizer::recommendation(); empty: none.
  virtual Point recommended() const { return {}; }
};

/// Makes an engine for a checked problem in which every coordinate moves.
using EngineMaker = std::unique_ptr<Engine> (*)(const Problem& box, const OptimizerOptions& options);

/// The optimizer that an engine makes of any problem. @throws UsageError as Problem::check, and for wrong options.
std::unique_ptr<Optimizer> drive(const Problem& problem, const OptimizerOptions& options, EngineMaker make);

/// Width of the box in each coordinate.
Point widths(const Problem& box);
/// Indices by score, best first; equal scores stay in order.
std::vector<size_t> by_score(const std::vector<double>& scores);
/// Mirrored once at the edge that was crossed, then clipped.
double fold(double value, double lower, double upper);
/// The user's population or `otherwise`, at least `fewest` and no more than the budget can use. @throws UsageError when
/// the user's is below `fewest`.
std::int64_t population_of(const OptimizerOptions& options, const Problem& box, std::int64_t otherwise,
                           std::int64_t fewest, const char* method);
/// Refuses boxes for which a method's square matrices would be too large. @throws UsageError.
void check_square(const Problem& box, const char* method);

}  // namespace weft::search
