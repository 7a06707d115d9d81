#include "eval/similarity.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <set>
#include <string>

#include "data/batches.h"
#include "eval/encode.h"
#include "text/encode_text.h"
#include "text/label_text.h"
#include "weft/core/parallel.h"
#include "weft/eval/embed.h"

namespace weft::eval {

namespace {

constexpr size_t kTextsTogether = 1024;

/// The longest text that the encoder takes, 0 when nothing says so.
std::int64_t token_limit(const model::ModelInfo& info, const EvalOptions& options) {
  std::int64_t limit = options.max_tokens > 0 ? options.max_tokens : max_sequence_length(info.path);
  if (info.positions_end && info.positions > 0) limit = limit > 0 ? std::min(limit, info.positions) : info.positions;
  return limit;
}

/// `place` names a text in messages.
EncodedTexts encode_texts(const text::Tokenizer& tokenizer, const std::vector<std::string>& texts, std::int64_t limit,
                          int threads, const std::function<std::string(size_t)>& place) {
  EncodedTexts out;
  for (size_t begin = 0; begin < texts.size(); begin += kTextsTogether) {
    std::vector<text::EncodedText> part(std::min(kTextsTogether, texts.size() - begin));
    parallel_for(static_cast<std::int64_t>(part.size()), threads, [&](std::int64_t i) {
      part[static_cast<size_t>(i)] = text::encode_text(tokenizer, texts[begin + static_cast<size_t>(i)], limit);
    });
    for (size_t i = 0; i < part.size(); ++i) {
      if (part[i].ids.empty()) throw FormatError(place(begin + i), "the text has no tokens");
      if (part[i].whole > static_cast<std::int64_t>(part[i].ids.size()) && out.cuts++ == 0) out.first_cut = begin + i;
      out.ids.add(part[i].ids);
      out.lengths.push_back(static_cast<std::int64_t>(part[i].ids.size()));
    }
  }
  return out;
}

EncodedTexts encode_labels(const text::Tokenizer& tokenizer, const LabelSet& labels, const EvalOptions& options,
                           std::int64_t limit, Log& log) {
  std::vector<std::string> descriptions;
  for (const std::string& name : labels.names) descriptions.push_back(text::label_text(options.label_template, name));
  const auto place = [&](size_t index) { return fmt::format("label '{}'", labels.names[index]); };
  EncodedTexts out = encode_texts(tokenizer, descriptions, limit, options.threads, place);
  if (out.cuts > 0)
    log.warning(fmt::format("{} of {} label descriptions are longer than {} tokens and were cut, the first that of {}",
                            out.cuts, labels.names.size(), limit, place(out.first_cut)));
  return out;
}

EncodedTexts encode_examples(const text::Tokenizer& tokenizer, const data::Examples& examples,
                             const EvalOptions& options, std::int64_t limit, Log& log) {
  std::vector<std::string> texts;
  for (const data::Example& example : examples.list) texts.push_back(example.text);
  EncodedTexts out = encode_texts(tokenizer, texts, limit, options.threads,
                                  [&](size_t index) { return examples.place(index).text(); });
  if (out.cuts > 0)
    log.warning(fmt::format("{}: {} of {} texts are longer than {} tokens and were cut, the first at line {}",
                            examples.file.string(), out.cuts, texts.size(), limit, examples.list[out.first_cut].line));
  return out;
}

Tensor index_tensor(const std::vector<std::int64_t>& indices) {
  return at::tensor(at::ArrayRef<std::int64_t>(indices), at::kLong);
}

}  // namespace

bool uses_similarity(const data::Examples& examples, const model::ModelInfo& info) {
  return examples.kind == data::Kind::kLabel && info.kind == model::Kind::kEncoder && info.labels.empty();
}

LabelSet similarity_labels(const data::Examples& examples, const EvalOptions& options) {
  LabelSet out;
  out.names = options.labels.empty() ? examples.labels : options.labels;
  const bool typed = !options.labels.empty();
  const auto refuse = [&](const std::string& why) {
    if (typed) throw UsageError("labels: " + why);
    throw FormatError(examples.file.string(), why);
  };
  if (out.names.empty())
    refuse(
        "its labels are indices, and an encoder without a classification head chooses by their names; give these in "
        "order, as in --labels no,yes");
  if (out.names.size() < 2)
    refuse(
        fmt::format("there is one label only, '{}', and nothing to choose from; name all of them, as in --labels "
                    "no,yes",
                    out.names.front()));
  std::set<std::string> seen;
  for (const std::string& name : out.names) {
    if (name.empty()) refuse("a label is empty");
    if (!seen.insert(name).second) refuse(fmt::format("label '{}' is given twice", name));
  }
  for (size_t i = 0; i < examples.list.size(); ++i)
    out.right.push_back(find_label(examples, i, out.names, "the label set"));
  return out;
}

SimilarityScorer::SimilarityScorer(const model::BaseModel& model, const text::Tokenizer& tokenizer,
                                   const data::Examples& examples, const LabelSet& labels, const EvalOptions& options,
                                   Log& log)
    : model_(model), examples_(examples), labels_(labels), temperature_(options.temperature) {
  const std::int64_t limit = token_limit(model.info(), options);
  texts_ = encode_examples(tokenizer, examples, options, limit, log);
  descriptions_ = encode_labels(tokenizer, labels, options, limit, log);
}

std::int64_t SimilarityScorer::label_tokens() const {
  return std::accumulate(descriptions_.lengths.begin(), descriptions_.lengths.end(), std::int64_t{0});
}

Tensor SimilarityScorer::embed_labels(const model::Composition& composition, std::int64_t candidates,
                                      std::int64_t batch_tokens) const {
  std::vector<Tensor> parts;
  std::vector<std::int64_t> row(labels_.names.size());
  std::int64_t next = 0;
  for (const std::vector<size_t>& labels : data::make_batches(descriptions_.lengths, batch_tokens)) {
    nn::Batch batch;
    for (const size_t label : labels) {
      batch.ids.push_back(descriptions_.ids.get(label));
      row[label] = next++;
    }
    const Tensor states = model_.embed(batch, composition).to(at::kCPU, at::kDouble);
    parts.push_back(states.view({candidates, static_cast<std::int64_t>(labels.size()), states.size(1)}));
  }
  const Tensor out = at::cat(parts, 1).index_select(1, index_tensor(row));
  if (!out.isfinite().all().item<bool>())
    throw NonFiniteError(fmt::format("{}: the embedding of a label is not finite", model_.info().path.string()));
  return out;
}

void SimilarityScorer::score(const std::vector<size_t>& batch, const model::Composition& composition,
                             const Tensor& labels, const ResultTable& results, const LossSink& sink) const {
  naming_lines(examples_, batch, [&] {
    nn::Batch inputs;
    for (const size_t index : batch) inputs.ids.push_back(texts_.ids.get(index));
    const Tensor states = model_.embed(inputs, composition).to(at::kCPU, at::kDouble);
    judge(batch, states.view({labels.size(0), static_cast<std::int64_t>(batch.size()), states.size(1)}), labels,
          results, sink);
  });
}

void SimilarityScorer::score_with_labels(const std::vector<size_t>& texts, const model::Composition& composition,
                                         const ResultTable& results, const LossSink& sink) const {
  std::vector<std::int64_t> lengths;
  for (const size_t index : texts) lengths.push_back(texts_.lengths[index]);
  lengths.insert(lengths.end(), descriptions_.lengths.begin(), descriptions_.lengths.end());
  // One batch in which equal lengths are neighbours: these are attended to together.
  const std::vector<size_t> order = data::make_batches(lengths, std::numeric_limits<std::int64_t>::max()).front();
  nn::Batch inputs;
  std::vector<std::int64_t> row(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const size_t unit = order[i];
    inputs.ids.push_back(unit < texts.size() ? texts_.ids.get(texts[unit])
                                             : descriptions_.ids.get(unit - texts.size()));
    row[unit] = static_cast<std::int64_t>(i);
  }
  const auto split = row.begin() + static_cast<std::ptrdiff_t>(texts.size());
  naming_lines(examples_, texts, [&] {
    const Tensor states = model_.embed(inputs, composition).to(at::kCPU, at::kDouble);
    const Tensor all = states.view(
        {static_cast<std::int64_t>(results.candidates()), static_cast<std::int64_t>(order.size()), states.size(1)});
    judge(texts, all.index_select(1, index_tensor({row.begin(), split})),
          all.index_select(1, index_tensor({split, row.end()})), results, sink);
  });
}

void SimilarityScorer::judge(const std::vector<size_t>& batch, const Tensor& texts, const Tensor& labels,
                             const ResultTable& results, const LossSink& sink) const {
  const Tensor cosines = at::matmul(texts, labels.transpose(1, 2));
  const Tensor rows = at::log_softmax(cosines / temperature_, 2).contiguous();
  const double* row = rows.const_data_ptr<double>();
  for (size_t c = 0; c < results.candidates(); ++c)
    for (const size_t index : batch) {
      judge_labels(examples_, index, row, labels_.names, labels_.right[index], results.at(c, index));
      row += labels_.names.size();
    }
  if (!sink) return;
  std::vector<std::int64_t> right;
  for (const size_t index : batch) right.push_back(static_cast<std::int64_t>(labels_.right[index]));
  sink(label_losses(rows.squeeze(0), right), batch);
}

void score_similarity(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
                      const LabelSet& labels, const model::Composition& composition, const EvalOptions& options,
                      Log& log, std::vector<ExampleResult>& results) {
  const SimilarityScorer scorer(model, tokenizer, examples, labels, options, log);
  const ResultTable table(results);
  const Tensor names = scorer.embed_labels(composition, 1, options.batch_tokens);
  const auto total = static_cast<std::int64_t>(examples.list.size());
  std::int64_t done = 0;
  double nll = 0;
  log.progress("evaluating", 0, total, {});
  for (const std::vector<size_t>& batch : data::make_batches(scorer.text_lengths(), options.batch_tokens)) {
    scorer.score(batch, composition, names, table, {});
    for (const size_t index : batch) nll += results[index].nll;
    done += static_cast<std::int64_t>(batch.size());
    log.progress("evaluating", done, total, fmt::format("loss {:.4f}", nll / static_cast<double>(done)));
  }
}

}  // namespace weft::eval
