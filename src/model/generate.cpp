#include "weft/model/generate.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "io/utf8.h"
#include "model/sampler.h"
#include "model/session.h"
#include "model/stop.h"

namespace weft::model {

namespace {

using IdList = std::vector<std::int64_t>;

void check_generate_options(const GenerateOptions& o, const ModelInfo& info, bool text) {
  if (info.kind == Kind::kEncoder)
    throw UsageError(
        fmt::format("{}: '{}' is an encoder and cannot generate text; expected a causal or a seq2seq model",
                    info.path.string(), info.family));
  if (o.max_new_tokens < 1)
    throw UsageError(fmt::format("max_new_tokens is {}, expected at least 1", o.max_new_tokens));
  if (o.batch < 1) throw UsageError(fmt::format("batch is {}, expected at least 1", o.batch));
  check_sampling(o);
  if (!o.stop.empty() && !text)
    throw UsageError("stop strings need a tokenizer; generate from texts, or use end_tokens");
  for (const std::string& stop : o.stop) {
    if (stop.empty()) throw UsageError("a stop string is empty; it would stop everything at once");
    if (!io::valid_utf8(stop)) throw UsageError("a stop string is not UTF-8");
  }
  for (const std::int64_t id : o.end_tokens.value_or(IdList{}))
    if (id < 0 || id >= info.vocabulary)
      throw UsageError(fmt::format("end token {} is not in the vocabulary of {} tokens", id, info.vocabulary));
}

/// `prompt 3`, or `prompts.txt:3`.
std::string prompt_place(const GenerateOptions& o, size_t index) {
  return o.source.empty() ? fmt::format("prompt {}", index + 1) : fmt::format("{}:{}", o.source, index + 1);
}

void check_prompt_ids(const ModelInfo& info, const IdList& ids, const GenerateOptions& o, size_t index, bool text) {
  const std::string place = prompt_place(o, index);
  if (ids.empty()) {
    const std::string what =
        "is empty, and nothing stands before the first new token; the model has no start token, so give it some text";
    if (!o.source.empty()) throw FormatError(place, "the prompt " + what);
    throw UsageError(fmt::format("{} {}", place, what));
  }
  for (const std::int64_t id : ids) {
    if (id >= 0 && id < info.vocabulary) continue;
    const std::string what = fmt::format("{}: token {} is not in the vocabulary of {} tokens of {}", place, id,
                                         info.vocabulary, info.path.string());
    if (text) throw InputError(what + "; is the tokenizer another model's?");
    throw UsageError(what);
  }
}

/// The sum of two counts, or the largest integer where it does not fit.
std::int64_t saturated_sum(std::int64_t x, std::int64_t y) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return x > kMost - y ? kMost : x + y;
}

/// Learned positions end; beyond others a model was not made to go. True: it goes beyond.
bool check_length(const ModelInfo& info, const GenerateOptions& o, size_t index, std::int64_t prompt) {
  const std::int64_t fresh = o.max_new_tokens;
  if (info.positions <= 0) return false;
  const bool seq2seq = info.kind == Kind::kSeq2Seq;
  const std::int64_t longest = seq2seq ? std::max(prompt, fresh) : saturated_sum(prompt, fresh);
  if (longest <= info.positions) return false;
  if (info.positions_end)
    throw InputError(fmt::format(
        "{}: {} tokens and {} new ones are {}, but {} has {} positions; shorten the prompt or allow fewer new "
        "tokens",
        prompt_place(o, index), prompt, fresh, longest, info.path.string(), info.positions));
  return true;
}

/// One line, however many prompts there are. `first` is the first of `count` that go beyond the positions.
void warn_of_length(const ModelInfo& info, const GenerateOptions& o, size_t first, size_t count, size_t tokens,
                    Log& log) {
  log.warning(fmt::format("{}: {} tokens and {} new ones are more than the {} positions that {} was made for{}",
                          prompt_place(o, first), tokens, o.max_new_tokens, info.positions, info.path.string(),
                          count == 1 ? "" : fmt::format("; so are {} prompts more", count - 1)));
}

/// The composition for the prompts [first, first + count).
Composition composition_part(const Composition& whole, size_t first, size_t count) {
  Composition part = whole;
  if (whole.mix.rows == nn::Mix::Rows::kSequence && whole.mix.weights.defined())
    part.mix.weights = whole.mix.weights.narrow(0, static_cast<std::int64_t>(first), static_cast<std::int64_t>(count));
  return part;
}

void check_mix_rows(const nn::Mix& mix, size_t prompts) {
  if (!mix.weights.defined() || mix.rows == nn::Mix::Rows::kModel) return;
  if (mix.rows != nn::Mix::Rows::kSequence)
    throw UsageError("text is generated with one row of weights, or with one per prompt");
  if (mix.weights.dim() == 0 || mix.weights.size(0) != static_cast<std::int64_t>(prompts))
    throw UsageError(fmt::format("the mix has weights for {} sequences, but there are {} prompts",
                                 mix.weights.dim() == 0 ? 0 : mix.weights.size(0), prompts));
}

/// One call of generate(): what holds for all sequences.
struct GenerateJob {
  const BaseModel& model;
  const text::Tokenizer* tokenizer;  ///< null: ids alone
  const GenerateOptions& options;
  const Composition& composition;
  const OnText& on_text;
  Log& log;
  IdList end_tokens;
  std::vector<Generation>& results;
};

/// A sequence that grows.
class GrowingSequence {
 public:
  GrowingSequence(const GenerateJob& job, size_t index)
      : job_(&job), index_(index), out_(&job.results[index]), watch_(job.options.stop) {
    const ModelInfo& info = job.model.info();
    const bool seq2seq = info.kind == Kind::kSeq2Seq;
    if (job.tokenizer != nullptr) decoder_.emplace(*job.tokenizer, seq2seq ? IdList{} : out_->prompt_ids);
    if (job.options.repetition_penalty == 1.0) return;
    is_seen_.resize(static_cast<size_t>(info.vocabulary));
    if (!seq2seq)
      for (const std::int64_t id : out_->prompt_ids) see(id);
    else if (info.start_token)
      see(*info.start_token);
  }

  const IdList& seen() const { return seen_; }
  std::uint64_t number() const { return job_->options.first_sequence + index_; }

  /// Appends an id; false when the sequence has ended with it.
  bool grow(std::int64_t id) {
    out_->ids.push_back(id);
    see(id);
    if (decoder_) give(watch_.push(decoder_->push(id)));
    const bool end = std::find(job_->end_tokens.begin(), job_->end_tokens.end(), id) != job_->end_tokens.end();
    const bool full = static_cast<std::int64_t>(out_->ids.size()) >= job_->options.max_new_tokens;
    if (!end && !full && !watch_.found()) return true;
    if (decoder_ && !watch_.found()) give(watch_.push(decoder_->finish()));
    give(watch_.finish());
    out_->stop = watch_.found() ? Stop::kString : end ? Stop::kEnd : Stop::kLength;
    return false;
  }

 private:
  void see(std::int64_t id) {
    if (is_seen_.empty() || id < 0 || id >= static_cast<std::int64_t>(is_seen_.size())) return;
    if (is_seen_[static_cast<size_t>(id)]) return;
    is_seen_[static_cast<size_t>(id)] = true;
    seen_.push_back(id);
  }

  void give(const std::string& text) {
    if (text.empty()) return;
    out_->text += text;
    if (job_->on_text) job_->on_text(index_, text);
  }

  const GenerateJob* job_;
  size_t index_;
  Generation* out_;
  std::optional<text::StreamDecoder> decoder_;
  StopWatch watch_;
  std::vector<bool> is_seen_;  ///< empty: no penalty
  IdList seen_;
};

std::span<float> logits_row(const Tensor& logits, size_t row) {
  const size_t width = static_cast<size_t>(logits.size(1));
  return {logits.data_ptr<float>() + row * width, width};
}

/// Runs the prompts [first, first + count) together until all have ended.
void generate_together(const GenerateJob& job, Sampler& sampler, size_t first, size_t count) {
  std::vector<GrowingSequence> growing;
  nn::Batch batch;
  for (size_t i = first; i < first + count; ++i) {
    growing.emplace_back(job, i);
    batch.ids.push_back(job.results[i].prompt_ids);
  }
  Session session(job.model, composition_part(job.composition, first, count), batch);
  Tensor logits = session.begin();
  for (std::uint64_t step = 0;; ++step) {
    const Tensor host = logits.to(at::kCPU, at::kFloat).contiguous();
    IdList next, kept;
    for (size_t i = 0; i < growing.size(); ++i) {
      const std::int64_t id = sampler.pick(logits_row(host, i), growing[i].seen(), growing[i].number(), step);
      if (!growing[i].grow(id)) continue;
      next.push_back(id);
      kept.push_back(static_cast<std::int64_t>(i));
    }
    if (kept.empty()) return;
    if (kept.size() < growing.size()) {
      std::vector<GrowingSequence> rest;
      for (const std::int64_t i : kept) rest.push_back(std::move(growing[static_cast<size_t>(i)]));
      growing = std::move(rest);
      session.keep(kept);
    }
    logits = session.feed(next);
  }
}

std::vector<Generation> generate_ids(const BaseModel& model, const text::Tokenizer* tokenizer,
                                     std::vector<IdList> prompts, const GenerateOptions& options,
                                     const Composition& composition, const OnText& on_text, Log& log) {
  const ModelInfo& info = model.info();
  check_mix_rows(composition.mix, prompts.size());
  std::vector<Generation> results(prompts.size());
  size_t first_long = 0, long_ones = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    check_prompt_ids(info, prompts[i], options, i, tokenizer != nullptr);
    if (check_length(info, options, i, static_cast<std::int64_t>(prompts[i].size())) && long_ones++ == 0)
      first_long = i;
    results[i].prompt_ids = std::move(prompts[i]);
  }
  if (long_ones > 0) warn_of_length(info, options, first_long, long_ones, results[first_long].prompt_ids.size(), log);
  const GenerateJob job{
      model, tokenizer, options, composition, on_text, log, options.end_tokens.value_or(info.end_tokens), results};
  Sampler sampler(options);
  const auto total = static_cast<std::int64_t>(results.size());
  for (std::int64_t first = 0; first < total;) {
    const std::int64_t count = std::min(options.batch, total - first);
    if (!on_text) log.progress("generating", first, total, "");
    generate_together(job, sampler, static_cast<size_t>(first), static_cast<size_t>(count));
    first += count;
  }
  if (!on_text) log.progress("generating", total, total, "");
  return results;
}

}  // namespace

std::string_view stop_name(Stop stop) {
  switch (stop) {
    case Stop::kEnd: return "end";
    case Stop::kLength: return "length";
    case Stop::kString: return "stop";
  }
  return "length";
}

std::vector<Generation> generate(const BaseModel& model, const text::Tokenizer& tokenizer,
                                 std::span<const std::string> prompts, const GenerateOptions& options,
                                 const Composition& composition, const OnText& on_text, Log& log) {
  check_generate_options(options, model.info(), true);
  return generate_ids(model, &tokenizer, tokenizer.encode_all(prompts), options, composition, on_text, log);
}

std::vector<Generation> generate(const BaseModel& model, const std::vector<IdList>& prompts,
                                 const GenerateOptions& options, const Composition& composition, Log& log) {
  check_generate_options(options, model.info(), false);
  return generate_ids(model, nullptr, prompts, options, composition, {}, log);
}

}  // namespace weft::model
