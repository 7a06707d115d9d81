#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "eval/score.h"
#include "weft/eval/evaluate.h"
#include "weft/model/model.h"
#include "weft/text/tokenizer.h"

namespace weft::eval {

/// Some candidates and the examples they are to run.
struct CandidatePass {
  const model::Composition& composition;  ///< a row per candidate (kCandidate), or one for the model
  const std::vector<size_t>& part;        ///< examples, ascending, at least one
  std::int64_t batch_tokens = 1;          ///< tokens of examples that run together at most
  const ResultTable& results;             ///< filled in
  const LossSink& sink;                   ///< empty unless gradients are wanted
};

/// One way to score examples, which are tokenised and checked. Thread-safe for const use.
class Scoring {
 public:
  virtual ~Scoring() = default;
  /// That one candidate runs through the model for all examples.
  virtual std::int64_t tokens() const = 0;
  /// How many labels there are to choose from.
  virtual size_t labels() const { return 0; }
  /// How many tokens of an example are scored; 1 for a label.
  virtual std::int64_t scored(size_t) const { return 1; }
  /// Candidates share forward passes.
  virtual bool has_shared_passes() const { return true; }
  /// @throws NonFiniteError when an output of any candidate is not finite.
  virtual void run(const CandidatePass& pass) const = 0;
};

/// What a scoring reads. It stays the caller's, and must outlive the scoring.
struct ScoringInputs {
  const model::BaseModel& model;
  const text::Tokenizer& tokenizer;
  const data::Examples& examples;
  const EvalOptions& options;
  Log& log;  ///< of warnings; not kept
};

/// Likelihoods of tokens or of the labels of a head. @throws as evaluate().
std::unique_ptr<const Scoring> make_likelihood_scoring(const ScoringInputs& inputs, bool all_choices);
/// Label similarity. @throws as evaluate().
std::unique_ptr<const Scoring> make_similarity_scoring(const ScoringInputs& inputs);
/// Generated answers. @throws as evaluate().
std::unique_ptr<const Scoring> make_answer_scoring(const ScoringInputs& inputs);

}  // namespace weft::eval
