#include "eval/similarity.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>

#include "data/batches.h"
#include "eval/encode.h"
#include "eval/score.h"
#include "eval/token_store.h"
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

/// Texts cut and counted, in batches of one forward pass.
class SimilarityTexts {
 public:
  SimilarityTexts(const text::Tokenizer& tokenizer, std::int64_t limit, int threads)
      : tokenizer_(tokenizer), limit_(limit), threads_(threads) {}

  /// `place` names a text in messages.
  void encode(const std::vector<std::string>& texts, const std::function<std::string(size_t)>& place) {
    for (size_t begin = 0; begin < texts.size(); begin += kTextsTogether) {
      std::vector<text::EncodedText> part(std::min(kTextsTogether, texts.size() - begin));
      parallel_for(static_cast<std::int64_t>(part.size()), threads_, [&](std::int64_t i) {
        part[static_cast<size_t>(i)] = text::encode_text(tokenizer_, texts[begin + static_cast<size_t>(i)], limit_);
      });
      for (size_t i = 0; i < part.size(); ++i) {
        if (part[i].ids.empty()) throw FormatError(place(begin + i), "the text has no tokens");
        if (part[i].whole > static_cast<std::int64_t>(part[i].ids.size()) && cuts_++ == 0) first_cut_ = begin + i;
        store_.add(part[i].ids);
        lengths_.push_back(static_cast<std::int64_t>(part[i].ids.size()));
      }
    }
  }

  size_t cuts() const { return cuts_; }
  size_t first_cut() const { return first_cut_; }
  std::vector<std::vector<size_t>> batches(std::int64_t budget) const { return data::make_batches(lengths_, budget); }

  /// Embeddings [batch, width], float64 on the CPU.
  Tensor embed(const model::BaseModel& model, const model::Composition& composition,
               const std::vector<size_t>& batch) const {
    nn::Batch out;
    for (const size_t index : batch) out.ids.push_back(store_.get(index));
    return model.embed(out, composition).to(at::kCPU, at::kDouble);
  }

 private:
  const text::Tokenizer& tokenizer_;
  std::int64_t limit_;
  int threads_;
  TokenStore store_;
  std::vector<std::int64_t> lengths_;
  size_t cuts_ = 0, first_cut_ = 0;
};

/// [labels, width], in the order of the names.
Tensor embed_labels(const model::BaseModel& model, const text::Tokenizer& tokenizer, const LabelSet& labels,
                    const model::Composition& composition, const EvalOptions& options, std::int64_t limit, Log& log) {
  std::vector<std::string> descriptions;
  for (const std::string& name : labels.names) descriptions.push_back(text::label_text(options.label_template, name));
  const auto place = [&](size_t index) { return fmt::format("label '{}'", labels.names[index]); };
  SimilarityTexts texts(tokenizer, limit, options.threads);
  texts.encode(descriptions, place);
  if (texts.cuts() > 0)
    log.warning(fmt::format("{} of {} label descriptions are longer than {} tokens and were cut, the first that of {}",
                            texts.cuts(), labels.names.size(), limit, place(texts.first_cut())));
  const Tensor out = at::zeros({static_cast<std::int64_t>(labels.names.size()), model.info().width}, at::kDouble);
  for (const std::vector<size_t>& batch : texts.batches(options.batch_tokens)) {
    const Tensor rows = texts.embed(model, composition, batch);
    for (size_t i = 0; i < batch.size(); ++i)
      out[static_cast<std::int64_t>(batch[i])].copy_(rows[static_cast<std::int64_t>(i)]);
  }
  if (!out.isfinite().all().item<bool>())
    throw NonFiniteError(fmt::format("{}: the embedding of a label is not finite", model.info().path.string()));
  return out;
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

void score_similarity(const model::BaseModel& model, const text::Tokenizer& tokenizer, const data::Examples& examples,
                      const LabelSet& labels, const model::Composition& composition, const EvalOptions& options,
                      Log& log, std::vector<ExampleResult>& results) {
  const std::int64_t limit = token_limit(model.info(), options);
  std::vector<std::string> texts;
  for (const data::Example& example : examples.list) texts.push_back(example.text);
  SimilarityTexts encoded(tokenizer, limit, options.threads);
  encoded.encode(texts, [&](size_t index) { return examples.place(index).text(); });
  if (encoded.cuts() > 0)
    log.warning(fmt::format("{}: {} of {} texts are longer than {} tokens and were cut, the first at line {}",
                            examples.file.string(), encoded.cuts(), texts.size(), limit,
                            examples.list[encoded.first_cut()].line));
  const Tensor names = embed_labels(model, tokenizer, labels, composition, options, limit, log).t();
  const auto total = static_cast<std::int64_t>(texts.size());
  std::int64_t done = 0;
  double nll = 0;
  log.progress("evaluating", 0, total, {});
  for (const std::vector<size_t>& batch : encoded.batches(options.batch_tokens)) {
    naming_lines(examples, batch, [&] {
      const Tensor cosines = at::matmul(encoded.embed(model, composition, batch), names);
      const Tensor rows = at::log_softmax(cosines / options.temperature, 1).contiguous();
      for (size_t i = 0; i < batch.size(); ++i)
        judge_labels(examples, batch[i], rows.const_data_ptr<double>() + i * labels.names.size(), labels.names,
                     labels.right[batch[i]], results[batch[i]]);
    });
    for (const size_t index : batch) nll += results[index].nll;
    done += static_cast<std::int64_t>(batch.size());
    log.progress("evaluating", done, total, fmt::format("loss {:.4f}", nll / static_cast<double>(done)));
  }
}

}  // namespace weft::eval
