#include <algorithm>
#include <numeric>
#include <utility>

#include "data/batches.h"
#include "eval/encode.h"
#include "eval/objective_scoring.h"

namespace weft::eval {

namespace {

class LikelihoodScoring final : public Scoring {
 public:
  LikelihoodScoring(const ScoringInputs& inputs, bool all_choices)
      : model_(inputs.model),
        examples_(inputs.examples),
        all_choices_(all_choices),
        encoded_(
            encode(inputs.examples, inputs.model.info(), inputs.tokenizer, all_choices, inputs.options, inputs.log)) {
    for (size_t unit = 0; unit < encoded_.units.size(); ++unit)
      if (unit == 0 || encoded_.units[unit].example != encoded_.units[unit - 1].example) first_unit_.push_back(unit);
    first_unit_.push_back(encoded_.units.size());
  }

  std::int64_t tokens() const override {
    return std::accumulate(encoded_.lengths.begin(), encoded_.lengths.end(), std::int64_t{0});
  }
  size_t labels() const override { return model_.info().labels.size(); }

  std::int64_t scored(size_t example) const override {
    if (examples_.kind == data::Kind::kLabel) return 1;
    const auto right =
        static_cast<size_t>(std::max<std::int64_t>(0, all_choices_ ? examples_.list[example].answer : 0));
    const size_t unit = first_unit_[example] + right;
    if (model_.info().kind == model::Kind::kSeq2Seq) return encoded_.targets.length(unit);
    return encoded_.inputs.length(unit) - encoded_.scored[unit];
  }

  void run(const CandidatePass& pass) const override {
    std::vector<size_t> units;
    std::vector<std::int64_t> lengths;
    for (const size_t example : pass.part)
      for (size_t unit = first_unit_[example]; unit < first_unit_[example + 1]; ++unit) {
        units.push_back(unit);
        lengths.push_back(encoded_.lengths[unit]);
      }
    for (size_t c = 0; all_choices_ && c < pass.results.candidates(); ++c)
      for (const size_t example : pass.part)
        pass.results.at(c, example).choices.resize(examples_.list[example].choices.size());
    Scorer scorer(model_, examples_, pass.composition, encoded_, pass.results, pass.sink);
    for (std::vector<size_t>& batch : data::make_batches(lengths, pass.batch_tokens)) {
      for (size_t& index : batch) index = units[index];
      scorer.score(batch);
    }
  }

 private:
  const model::BaseModel& model_;
  const data::Examples& examples_;
  bool all_choices_;
  Encoded encoded_;
  std::vector<size_t> first_unit_;  ///< by example; one more for the end
};

}  // namespace

std::unique_ptr<const Scoring> make_likelihood_scoring(const ScoringInputs& inputs, bool all_choices) {
  return std::make_unique<LikelihoodScoring>(inputs, all_choices);
}

}  // namespace weft::eval
