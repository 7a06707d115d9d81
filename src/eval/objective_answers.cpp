#include <ATen/ATen.h>

#include "eval/answers.h"
#include "eval/encode.h"
#include "eval/objective_scoring.h"

namespace weft::eval {

namespace {

/// Candidates answer one after the other: their answers end at different lengths.
class AnswerScoring final : public Scoring {
 public:
  explicit AnswerScoring(const ScoringInputs& inputs)
      : generator_(inputs.model, inputs.tokenizer, inputs.examples, inputs.options, inputs.log) {
    // Likelihoods are not asked for, but whether the examples suit the model is checked here.
    encode(inputs.examples, inputs.model.info(), inputs.tokenizer, false, inputs.options, inputs.log);
    for (size_t i = 0; i < inputs.examples.list.size(); ++i) tokens_ += generator_.tokens(i);
  }

  std::int64_t tokens() const override { return tokens_; }
  bool has_shared_passes() const override { return false; }

  void run(const CandidatePass& pass) const override {
    model::Composition one = pass.composition;
    one.mix.rows = nn::Mix::Rows::kModel;
    for (size_t c = 0; c < pass.results.candidates(); ++c) {
      if (one.experts.count() > 0)
        one.mix.weights = pass.composition.mix.weights.narrow(0, static_cast<std::int64_t>(c), 1);
      generator_.run(pass.part, one, pass.results, c, silent_log());
    }
  }

 private:
  AnswerGenerator generator_;
  std::int64_t tokens_ = 0;
};

}  // namespace

std::unique_ptr<const Scoring> make_answer_scoring(const ScoringInputs& inputs) {
  return std::make_unique<AnswerScoring>(inputs);
}

}  // namespace weft::eval
