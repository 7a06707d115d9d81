#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/core/error.h"
#include "weft/search/optimizer.h"

namespace weft::search {

/// One evaluation of a search.
struct Evaluated {
  Point point;
  double score = 0.0;  ///< as the function gave it
  std::string phase;   ///< Question::phase
};

/// Where a search ended.
struct Minimum {
  /// The best point evaluated, or the one the method recommends; the start when no score was finite.
  Point point;
  double score = 0.0;              ///< its score; +infinity when no score was finite
  std::vector<Evaluated> history;  ///< every evaluation, in order
};

/// A function of the user's own: the score at a point, and the gradient of it when `gradient` is true.
using Function = std::function<Outcome(const Point& point, bool gradient)>;

/**
 * Minimises `function` over the problem's box, one point at a time, by a method of the table. Problem::folds counts as
 * 0. What the function throws passes through.
 * @throws UsageError for a problem, an option or a name that is wrong.
 */
WEFT_API Minimum minimize(const Function& function, const Problem& problem, std::string_view method = "auto",
                          const OptimizerOptions& options = {});

/// The same for a function without gradients; Problem::gradients counts as false. @throws UsageError also when the
/// method asks for gradients.
WEFT_API Minimum minimize(const std::function<double(const Point& point)>& function, const Problem& problem,
                          std::string_view method = "auto", const OptimizerOptions& options = {});

}  // namespace weft::search
