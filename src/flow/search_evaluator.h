#pragma once

#include <cstdint>
#include <vector>

#include "dist/group.h"
#include "flow/search_journal.h"
#include "flow/search_setup.h"

namespace weft::flow {

/**
 * Answers questions of an optimizer. Chunks of candidates go to the ranks of a group in turn, and on a rank to several
 * threads; a chunk is always the same candidates, so that answers do not depend on who makes them.
 */
class Evaluator {
 public:
  /// Everything stays the caller's.
  Evaluator(const SearchJob& job, const SearchSetup& setup, const dist::Group& group);

  /// One answer per point, the same on every rank.
  std::vector<Answer> answer(const search::Question& question);
  /// Scores of weights [groups · adapters] on all examples, without a race.
  std::vector<Answer> score(const std::vector<eval::Weights>& candidates) { return score(candidates, false); }
  /// Takes note of answers that another process has made, as if they had been made here.
  void learn(const std::vector<search::Point>& points, const std::vector<Answer>& answers);

 private:
  std::vector<Answer> score(const std::vector<eval::Weights>& candidates, bool racing);
  std::vector<Answer> score_chunk(const std::vector<eval::Weights>& chunk, bool racing);
  std::vector<Answer> race_chunk(const std::vector<eval::Weights>& chunk);
  std::vector<Answer> slopes(const std::vector<search::Point>& points, const std::vector<size_t>& part) const;
  std::vector<Answer> partial_scores(const std::vector<eval::Weights>& candidates,
                                     const std::vector<size_t>& part) const;
  std::vector<size_t> indices_of(const search::Part& part) const;
  void hold_out(const std::vector<eval::Weights>& chunk, std::vector<Answer>& answers) const;
  void choose_leader(const std::vector<eval::Weights>& candidates, const std::vector<Answer>& answers);

  const SearchJob& job_;
  const SearchSetup& setup_;
  const dist::Group& group_;
  size_t chunk_ = 1;
  std::vector<size_t> first_, rest_;         ///< racing: the examples that all candidates see, and the others
  std::vector<eval::ExampleResult> leader_;  ///< racing: results of the best candidate so far
  double leader_score_ = 0.0;
};

}  // namespace weft::flow
