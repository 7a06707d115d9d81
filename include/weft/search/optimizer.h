#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/core/error.h"

namespace weft::search {

/// A place in the search space.
using Point = std::vector<double>;

/// What is minimised over, without the function.
struct Problem {
  Point lower, upper;  ///< the box: finite, lower <= upper; where they are equal the coordinate never moves
  Point start;         ///< where to begin, inside the box
  Point origin;        ///< the point that stands for "nothing added" (usually 0), inside the box; empty: `start`
  /// Points that stand for one ingredient alone (one adapter with weight 1, or as near to it as the box allows).
  /// Methods that look at ingredients first use them; may be empty.
  std::vector<Point> singles;
  std::int64_t budget = 40;  ///< evaluations in all, at least 1; a gradient counts as `gradient_cost` evaluations
  std::int64_t gradient_cost = 3;
  std::uint64_t seed = 0;
  bool gradients = true;      ///< whether they can be had; a method that only prefers them does without
  int folds = 0;              ///< parts of the examples may be asked for, of at most so many folds; 0 or 1: no parts
  double observations = 0.0;  ///< how many observations (scored tokens, labels) a score is a mean over; 0: not a mean

  size_t size() const { return lower.size(); }
  /// @throws UsageError naming the first thing wrong: sizes that differ, bounds that are not finite or crossed, points
  ///         outside the box, a budget below 1.
  WEFT_API void check() const;
};

/// What an evaluation found at a point.
struct Outcome {
  double score = 0.0;  ///< lower is better; NaN and infinities count as worse than every number
  Point gradient;      ///< of the score, when it was asked for
};

/// Some of the examples that a score is a mean over.
struct Part {
  int folds = 0;      ///< the examples are dealt into so many folds, of like composition; 0: all of them are looked at
  int fold = 0;       ///< which of them, from 0
  bool only = false;  ///< that fold alone; otherwise all but that one
  double share() const { return folds == 0 ? 1.0 : only ? 1.0 / folds : 1.0 - 1.0 / folds; }
};

/// What is asked for: points to evaluate together, and whether with gradients.
struct Question {
  std::vector<Point> points;
  bool gradients = false;
  std::string phase = {};  ///< what the method is doing, for progress lines and the journal: `singles`, `pairs`
  Part part = {};  ///< asked for only where Problem::folds allows it; such scores compare among themselves alone
  bool empty() const { return points.empty(); }
  /// Evaluations that one point costs; a part of the examples costs its share.
  double cost_of_each(const Problem& problem) const {
    return part.share() * (gradients ? static_cast<double>(problem.gradient_cost) : 1.0);
  }
  /// Evaluations that answering costs.
  double cost(const Problem& problem) const { return static_cast<double>(points.size()) * cost_of_each(problem); }
};

/**
 * A method that minimises a function over a box, turned inside out: it says which points it wants evaluated, and is
 * told what was found. The points depend on the problem, the options and what was told alone, so a search is repeated
 * by telling the same again. Points are inside the box. Never more is asked than the budget has left. Not thread-safe.
 */
class WEFT_API Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// The next points, which may be evaluated in any order or at once. Empty: the budget is spent, or the method has
  /// nothing more to try. Each question is answered by tell() before the next one.
  virtual Question ask() = 0;
  /// One outcome per point of the last question, in order. @throws UsageError when there are more or fewer.
  virtual void tell(const std::vector<Outcome>& outcomes) = 0;
  /// One of the points told so far that the method would rather have taken than the one with the best score (because it
  /// weighs scores against a prior, say); nothing: the best score counts.
  virtual std::optional<Point> recommendation() const { return std::nullopt; }
};

/// What methods can be told; 0 leaves a number to the method.
struct OptimizerOptions {
  std::int64_t population = 0;  ///< points per generation of methods that have generations
  double step = 0.0;            ///< first step (CMA-ES's sigma, a simplex's edge) as a share of the box's width
  double learning_rate = 0.0;   ///< of `gradient`; 0: 0.1
};

/// A method of the table.
struct Method {
  std::string name;
  std::string doc;          ///< one line
  std::string source;       ///< paper or library
  bool gradients = false;   ///< it asks for gradients
  bool population = false;  ///< OptimizerOptions::population is of it
  bool step = false;        ///< OptimizerOptions::step is of it
  bool singles = false;     ///< it needs Problem::singles
  std::unique_ptr<Optimizer> (*make)(const Problem& problem, const OptimizerOptions& options) = nullptr;
};

/// All methods, in the order they are shown.
WEFT_API const std::vector<Method>& methods();
/// The method called `name`. @throws UsageError with the nearest name.
WEFT_API const Method& find_method(std::string_view name);
/// Checks the problem and makes the optimizer. @throws UsageError.
WEFT_API std::unique_ptr<Optimizer> make_optimizer(std::string_view method, const Problem& problem,
                                                   const OptimizerOptions& options = {});

}  // namespace weft::search
