#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "eval/objective_score.h"
#include "eval/objective_scoring.h"
#include "weft/eval/objective.h"

namespace weft::eval {

/// What does not depend on the adapters. Never moves: the scoring refers to its parts.
struct ObjectiveTask {
  model::BaseModel model;
  text::Tokenizer tokenizer;
  data::Examples examples;
  ObjectiveOptions options;
  ScoreRule rule;
  std::unique_ptr<const Scoring> scoring;
  std::vector<size_t> all;  ///< indices of all examples
};

/// @throws UsageError, FormatError, InputError as Objective's constructor.
std::shared_ptr<const ObjectiveTask> make_objective_task(const model::BaseModel& model,
                                                         const text::Tokenizer& tokenizer,
                                                         const data::Examples& examples,
                                                         const ObjectiveOptions& options);

/// A task and the adapters that are composed for it.
struct Objective::Data {
  std::shared_ptr<const ObjectiveTask> task;
  nn::Experts experts;
  nn::Rule rule;
  std::vector<std::int64_t> group_of_module;
  size_t groups;

  /// @throws UsageError: groups or a rule that do not suit the experts.
  Data(std::shared_ptr<const ObjectiveTask> of, nn::Experts with, nn::Rule by, std::vector<std::int64_t> grouped);

  /// Weights of a candidate.
  size_t size() const { return groups * static_cast<size_t>(experts.count()); }
  /// The examples of a part.
  const std::vector<size_t>& chosen(const std::vector<size_t>& part) const { return part.empty() ? task->all : part; }
  /// Candidates that run together.
  size_t chunk() const;
  /// Tokens of examples that run together.
  std::int64_t batch_tokens() const;
  /// @throws UsageError.
  void check(const std::vector<Weights>& candidates, const std::vector<size_t>& part) const;
  /// Rows of weights for candidates that run together; one row is for the whole model.
  model::Composition composition_of(const Weights* candidates, size_t count) const;
  /// Scores candidates in one chunk.
  void run(const Weights* candidates, size_t count, const std::vector<size_t>& part, Candidate* out) const;
  void run_apart(const Weights* candidates, size_t count, const std::vector<size_t>& part, Candidate* out) const;
};

}  // namespace weft::eval
