#include "weft/eval/evaluate.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "eval/batches.h"
#include "eval/bootstrap.h"
#include "eval/encode.h"

namespace weft::eval {

namespace {

/// One evaluation on its way.
class Scorer {
 public:
  Scorer(const model::BaseModel& model, const data::Examples& examples, const model::Composition& composition,
         const Encoded& encoded, std::vector<ExampleResult>& results)
      : model_(model), examples_(examples), composition_(composition), encoded_(encoded), results_(results) {}

  void score(const std::vector<size_t>& batch) {
    try {
      if (examples_.kind == data::Kind::kLabel)
        score_labels(batch);
      else
        score_tokens(batch);
    } catch (const Error& error) {
      throw Error(fmt::format("{} (while running {})", error.what(), lines_of(batch)), error.blame());
    }
  }

 private:
  nn::Batch batch_of(const TokenStore& store, const std::vector<size_t>& batch) const {
    nn::Batch out;
    for (const size_t index : batch) out.ids.push_back(store.get(index));
    return out;
  }

  void score_tokens(const std::vector<size_t>& batch) {
    const bool seq2seq = model_.info().kind == model::Kind::kSeq2Seq;
    const nn::Batch inputs = batch_of(encoded_.inputs, batch);
    std::vector<std::int64_t> first, counts;
    for (const size_t index : batch) {
      first.push_back(encoded_.scored[index]);
      counts.push_back(seq2seq ? encoded_.targets.length(index)
                               : encoded_.inputs.length(index) - encoded_.scored[index]);
    }
    const Tensor nll = seq2seq ? model_.nll(inputs, batch_of(encoded_.targets, batch), composition_)
                               : model_.nll(inputs, first, composition_);
    const Tensor rows = nll.to(at::kCPU, at::kFloat).contiguous();
    std::span<const float> left(rows.const_data_ptr<float>(), static_cast<size_t>(rows.numel()));
    for (size_t i = 0; i < batch.size(); ++i) {
      ExampleResult& result = results_[batch[i]];
      result.tokens = counts[i];
      for (const float token : left.first(static_cast<size_t>(counts[i]))) result.nll += token;
      left = left.subspan(static_cast<size_t>(counts[i]));
      check_finite(batch[i]);
    }
  }

  void score_labels(const std::vector<size_t>& batch) {
    const Tensor logits = model_.classify(batch_of(encoded_.inputs, batch), composition_);
    const Tensor rows = at::log_softmax(logits.to(at::kCPU, at::kDouble), 1).contiguous();
    const auto labels = static_cast<size_t>(rows.size(1));
    const double* row = rows.const_data_ptr<double>();
    for (const size_t index : batch) {
      ExampleResult& result = results_[index];
      const auto label = static_cast<size_t>(encoded_.scored[index]);
      const auto best = static_cast<size_t>(std::max_element(row, row + labels) - row);
      result.tokens = 1;
      result.nll = -row[label];
      result.prediction = model_.info().labels[best];
      result.score = best == label ? 1.0 : 0.0;
      row += labels;
      check_finite(index);
    }
  }

  void check_finite(size_t index) const {
    if (!std::isfinite(results_[index].nll))
      throw InputError(fmt::format("{}: the model's output is not finite", examples_.place(index).text()));
  }

  std::string lines_of(const std::vector<size_t>& batch) const {
    constexpr size_t kMostLines = 8;
    std::vector<int> lines;
    for (const size_t index : batch) lines.push_back(examples_.list[index].line);
    std::sort(lines.begin(), lines.end());
    const bool more = lines.size() > kMostLines;
    lines.resize(std::min(lines.size(), kMostLines));
    return fmt::format("{}, lines {}{}", examples_.file.string(), fmt::join(lines, ", "), more ? ", ..." : "");
  }

  const model::BaseModel& model_;
  const data::Examples& examples_;
  const model::Composition& composition_;
  const Encoded& encoded_;
  std::vector<ExampleResult>& results_;
};

void check_eval_options(const EvalOptions& options, const model::Composition& composition) {
  if (options.batch_tokens < 1)
    throw UsageError(fmt::format("batch_tokens is {}, expected at least 1", options.batch_tokens));
  if (composition.experts.count() > 0 && composition.mix.rows != nn::Mix::Rows::kModel)
    throw UsageError("an evaluation takes one row of weights for all examples");
}

}  // namespace

Report evaluate(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
                const model::Composition& composition, const EvalOptions& options) {
  Log& log = options.log != nullptr ? *options.log : silent_log();
  check_eval_options(options, composition);
  const std::vector<Metric> metrics = choose_metrics(options.metrics, examples.kind);
  const Encoded encoded = encode(examples, model.info(), tokenizer, options.threads, log);
  Report out;
  out.examples.resize(examples.list.size());
  Scorer scorer(model, examples, composition, encoded, out.examples);
  const auto total = static_cast<std::int64_t>(examples.list.size());
  std::int64_t done = 0, tokens = 0;
  double nll = 0;
  log.progress("evaluating", 0, total, {});
  for (const std::vector<size_t>& batch : make_batches(encoded.lengths, options.batch_tokens)) {
    scorer.score(batch);
    for (const size_t index : batch) nll += out.examples[index].nll, tokens += out.examples[index].tokens;
    done += static_cast<std::int64_t>(batch.size());
    log.progress("evaluating", done, total, fmt::format("loss {:.4f}", nll / static_cast<double>(tokens)));
  }
  out.metrics = measure(metrics, out.examples, options.seed, options.threads);
  return out;
}

}  // namespace weft::eval
