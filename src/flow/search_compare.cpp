#include "flow/search_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "nn/expert_data.h"

namespace weft::flow {

namespace {

/// What rivals are compared by: held-out examples where there are such.
double verdict_of(const SearchRival& rival) { return rival.held_out.value_or(rival.score); }

/// A composition that a search is compared with, before it has a score.
struct Candidate {
  std::string name;
  eval::Weights weights;
};

/// Adapter `index` with weight 1 in all groups, the others with 0.
eval::Weights single_weights(const SearchReport& report, size_t index) {
  const size_t count = report.adapters.size();
  eval::Weights out(report.groups.size() * count, 0.0);
  for (size_t g = 0; g < report.groups.size(); ++g) out[g * count + index] = 1.0;
  return out;
}

/// The single adapters whose scores are worth their evaluations: all where something depends on them, else those that
/// the search has looked at.
std::vector<Candidate> singles_of(const SearchJob& job, const SearchSetup& setup, const SearchReport& report) {
  const bool all = setup.held_out.has_value() || job.options.fallback;
  std::vector<Candidate> out;
  for (size_t i = 0; i < report.adapters.size(); ++i) {
    eval::Weights weights = single_weights(report, i);
    const bool seen = std::any_of(report.trials.begin(), report.trials.end(), [&](const SearchTrial& trial) {
      return trial.part.empty() && setup.space.weights(trial.point) == weights;
    });
    if (all || seen) out.push_back({fmt::format("best single ({})", report.adapters[i]), std::move(weights)});
  }
  return out;
}

std::vector<SearchRival> score_all(const std::vector<Candidate>& candidates, const SearchSetup& setup,
                                   Evaluator& evaluator, const SearchReport& report) {
  std::vector<SearchRival> out(candidates.size());
  std::vector<eval::Weights> unknown;
  std::vector<size_t> places;
  for (size_t i = 0; i < candidates.size(); ++i) {
    out[i].name = candidates[i].name;
    const auto seen = std::find_if(report.trials.begin(), report.trials.end(), [&](const SearchTrial& trial) {
      return trial.part.empty() && setup.space.weights(trial.point) == candidates[i].weights;
    });
    if (seen != report.trials.end()) {
      out[i].score = seen->score, out[i].held_out = seen->held_out;
    } else {
      unknown.push_back(candidates[i].weights);
      places.push_back(i);
    }
  }
  if (unknown.empty()) return out;
  const std::vector<Answer> answers = evaluator.score(unknown);
  for (size_t i = 0; i < places.size(); ++i)
    out[places[i]].score = answers[i].score, out[places[i]].held_out = answers[i].held_out;
  return out;
}

/// The best of `rivals` from `first` on, or their end.
size_t best_of(const std::vector<SearchRival>& rivals, size_t first) {
  size_t best = rivals.size();
  for (size_t i = first; i < rivals.size(); ++i)
    if (std::isfinite(verdict_of(rivals[i])) &&
        (best == rivals.size() || verdict_of(rivals[i]) < verdict_of(rivals[best])))
      best = i;
  return best;
}

}  // namespace

void compare_rivals(const SearchJob& job, const SearchSetup& setup, Evaluator& evaluator, SearchReport& report) {
  const size_t count = report.adapters.size();
  std::vector<Candidate> candidates;
  candidates.push_back({"base", eval::Weights(report.weights.size(), 0.0)});
  // What replaces tensors of the base has no uniform merge.
  const bool mergeable = count == 1 || setup.experts.data()->overrides.empty();
  if (mergeable)
    candidates.push_back({"uniform", eval::Weights(report.weights.size(), 1.0 / static_cast<double>(count))});
  const size_t singles = candidates.size();
  for (Candidate& single : singles_of(job, setup, report)) candidates.push_back(std::move(single));
  std::vector<SearchRival> scored = score_all(candidates, setup, evaluator, report);
  const size_t single = best_of(scored, singles);
  std::vector<size_t> shown = {0};
  if (single < scored.size()) shown.push_back(single);
  if (mergeable) shown.push_back(1);
  size_t better = scored.size();
  const SearchTrial& found = report.trials[report.found];
  const double own = found.held_out.value_or(found.score);
  for (const size_t i : shown) {
    const double verdict = verdict_of(scored[i]);
    if (std::isfinite(verdict) && verdict < own && (better == scored.size() || verdict < verdict_of(scored[better])))
      better = i;
    report.rivals.push_back(scored[i]);
  }
  report.rivals.push_back({"found", found.score, found.held_out});
  if (better == scored.size()) return;
  const bool held = setup.held_out.has_value();
  report.warnings.push_back(
      fmt::format("on the {} examples {} scores {:.4g}, better than {:.4g} of what the search found{}",
                  held ? "held-out" : "same", scored[better].name, verdict_of(scored[better]), own,
                  job.options.fallback ? "; it is written instead (fallback)" : "; fallback would write it instead"));
  if (!job.options.fallback) return;
  report.chosen = scored[better].name;
  report.weights = candidates[better].weights;
  report.score = scored[better].score;
}

}  // namespace weft::flow
