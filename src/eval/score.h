#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "eval/encode.h"
#include "weft/eval/metric.h"
#include "weft/model/model.h"

namespace weft::eval {

/// Forward passes that give every example its likelihoods: of tokens, of choices, of the labels of a head.
class Scorer {
 public:
  Scorer(const model::BaseModel& model, const data::Examples& examples, const model::Composition& composition,
         const Encoded& encoded, std::vector<ExampleResult>& results)
      : model_(model), examples_(examples), composition_(composition), encoded_(encoded), results_(results) {}

  /// Runs units together.
  void score(const std::vector<size_t>& batch);

 private:
  void score_tokens(const std::vector<size_t>& batch);
  void score_head(const std::vector<size_t>& batch);

  const model::BaseModel& model_;
  const data::Examples& examples_;
  const model::Composition& composition_;
  const Encoded& encoded_;
  std::vector<ExampleResult>& results_;
};

/// Fills in what log-probabilities of all labels say of an example. @throws NonFiniteError with `file:line`.
void judge_labels(const data::Examples& examples, size_t index, const double* row,
                  const std::vector<std::string>& labels, size_t right, ExampleResult& result);

/// Calls `work`, and says in the message of what it throws which examples were running.
void naming_lines(const data::Examples& examples, const std::vector<size_t>& indices,
                  const std::function<void()>& work);

}  // namespace weft::eval
