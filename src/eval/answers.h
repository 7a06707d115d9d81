#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/score.h"
#include "weft/eval/evaluate.h"

namespace weft::eval {

/// Generates answers to prompts, greedily. An example's answer does not depend on the others, rounding apart.
class AnswerGenerator {
 public:
  /// What is referred to stays the caller's; `log` is warned of stop strings that no right answer can meet.
  AnswerGenerator(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
                  const EvalOptions& options, Log& log);

  /// Tokens of each example: the prompt's, and as many as may be generated.
  std::int64_t tokens(size_t example) const;
  /**
   * Answers `part` of the examples into candidate `candidate` of the table.
   * @throws UsageError: a stop string that is empty; NonFiniteError: outputs that are not finite, naming the lines.
   */
  void run(const std::vector<size_t>& part, const model::Composition& composition, const ResultTable& results,
           size_t candidate, Log& log) const;

 private:
  std::int64_t fresh(size_t example) const;

  const model::BaseModel& model_;
  const text::Tokenizer& tokenizer_;
  const data::Examples& examples_;
  const EvalOptions& options_;
  std::vector<std::int64_t> lengths_;  ///< of the prompts
  std::int64_t most_ = 0;              ///< new tokens of an answer
  bool clip_ = false;                  ///< fewer where learned positions end before
};

}  // namespace weft::eval
