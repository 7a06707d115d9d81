#include <ATen/ATen.h>

#include <numeric>

#include "data/batches.h"
#include "eval/objective_scoring.h"
#include "eval/similarity.h"

namespace weft::eval {

namespace {

class SimilarityScoring final : public Scoring {
 public:
  explicit SimilarityScoring(const ScoringInputs& inputs)
      : labels_(similarity_labels(inputs.examples, inputs.options)),
        scorer_(inputs.model, inputs.tokenizer, inputs.examples, labels_, inputs.options, inputs.log) {}

  std::int64_t tokens() const override {
    return std::accumulate(scorer_.text_lengths().begin(), scorer_.text_lengths().end(), scorer_.label_tokens());
  }
  size_t labels() const override { return labels_.names.size(); }

  void run(const CandidatePass& pass) const override {
    std::vector<std::int64_t> lengths;
    for (const size_t example : pass.part) lengths.push_back(scorer_.text_lengths()[example]);
    const std::int64_t all = std::accumulate(lengths.begin(), lengths.end(), scorer_.label_tokens());
    if (all <= pass.batch_tokens)
      return scorer_.score_with_labels(pass.part, pass.composition, pass.results, pass.sink);
    const auto candidates = static_cast<std::int64_t>(pass.results.candidates());
    Tensor labels = scorer_.embed_labels(pass.composition, candidates, pass.batch_tokens);
    // Each batch of texts frees its graph: what it says of the labels is gathered, and goes through theirs at the end.
    const Tensor behind = labels;
    if (pass.sink) labels = labels.detach().requires_grad_(true);
    for (std::vector<size_t>& batch : data::make_batches(lengths, pass.batch_tokens)) {
      for (size_t& index : batch) index = pass.part[index];
      scorer_.score(batch, pass.composition, labels, pass.results, pass.sink);
    }
    if (pass.sink) behind.backward(labels.grad());
  }

 private:
  LabelSet labels_;
  SimilarityScorer scorer_;
};

}  // namespace

std::unique_ptr<const Scoring> make_similarity_scoring(const ScoringInputs& inputs) {
  return std::make_unique<SimilarityScoring>(inputs);
}

}  // namespace weft::eval
