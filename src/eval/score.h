#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "eval/encode.h"
#include "weft/core/tensor.h"
#include "weft/eval/metric.h"
#include "weft/model/model.h"

namespace weft::eval {

/// Where results go: those of several candidates, all or part of the examples each.
class ResultTable {
 public:
  /// Of one composition, all examples in file order.
  explicit ResultTable(std::vector<ExampleResult>& results) : candidates_{&results} {}
  /// `part`: which examples, in which order; empty: all in file order. `examples`: how many there are in all.
  ResultTable(std::vector<std::vector<ExampleResult>*> candidates, const std::vector<size_t>& part, size_t examples)
      : candidates_(std::move(candidates)) {
    if (!part.empty()) position_.resize(examples);
    for (size_t i = 0; i < part.size(); ++i) position_[part[i]] = i;
  }
  size_t candidates() const { return candidates_.size(); }
  ExampleResult& at(size_t candidate, size_t example) const {
    return (*candidates_[candidate])[position_.empty() ? example : position_[example]];
  }

 private:
  std::vector<std::vector<ExampleResult>*> candidates_;
  std::vector<size_t> position_;  ///< by example; empty: its own index
};

/// Takes losses of one composition, [n] float32 or float64, with the graph that made them behind them, and which
/// example each is of. An example's loss is their sum.
using LossSink = std::function<void(const Tensor& losses, const std::vector<size_t>& examples)>;

/**
 * Forward passes that give every example its likelihoods: of tokens, of choices, of the labels of a head. The
 * composition's results come candidate by candidate, as many as the table has.
 */
class Scorer {
 public:
  Scorer(const model::BaseModel& model, const data::Examples& examples, const model::Composition& composition,
         const Encoded& encoded, const ResultTable& results, const LossSink& sink)
      : model_(model),
        examples_(examples),
        composition_(composition),
        encoded_(encoded),
        results_(results),
        sink_(sink) {}

  /// Runs units together.
  void score(const std::vector<size_t>& batch);

 private:
  void score_tokens(const std::vector<size_t>& batch);
  void read_tokens(const std::vector<size_t>& batch, const std::vector<std::int64_t>& counts, const float* rows,
                   size_t candidate);
  void score_head(const std::vector<size_t>& batch);

  const model::BaseModel& model_;
  const data::Examples& examples_;
  const model::Composition& composition_;
  const Encoded& encoded_;
  const ResultTable& results_;
  const LossSink& sink_;
};

/// Fills in what log-probabilities of all labels say of an example. @throws NonFiniteError with `file:line`.
void judge_labels(const data::Examples& examples, size_t index, const double* row,
                  const std::vector<std::string>& labels, size_t right, ExampleResult& result);

/// Losses of the right labels, [examples], of log-probabilities [examples, labels].
Tensor label_losses(const Tensor& log_probabilities, const std::vector<std::int64_t>& right);

/// Calls `work`, and says in the message of what it throws which examples were running.
void naming_lines(const data::Examples& examples, const std::vector<size_t>& indices,
                  const std::function<void()>& work);

}  // namespace weft::eval
