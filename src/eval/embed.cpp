#include "weft/eval/embed.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "data/batches.h"
#include "eval/token_store.h"
#include "io/json.h"
#include "text/encode_text.h"
#include "weft/core/parallel.h"

namespace weft::eval {

namespace {

using Ids = std::vector<std::int64_t>;

constexpr size_t kTextsAtOnce = 1024;

/// Tokenises lines, cuts and checks them.
class LineEncoder {
 public:
  LineEncoder(const model::ModelInfo& info, const text::Tokenizer& tokenizer, const EmbedOptions& options, Log& log)
      : info_(info), tokenizer_(tokenizer), options_(options), log_(log) {}

  TokenStore encode(std::span<const std::string> texts) {
    TokenStore out;
    for (size_t begin = 0; begin < texts.size(); begin += kTextsAtOnce) {
      const auto part = texts.subspan(begin, std::min(kTextsAtOnce, texts.size() - begin));
      const std::vector<Ids> ids = tokenizer_.encode_all(part, true, options_.threads);
      for (size_t i = 0; i < ids.size(); ++i) out.add(checked(begin + i, ids[i], part[i]));
    }
    warn_of_cuts(texts.size());
    return out;
  }

  std::string place(size_t index) const { return Place{options_.source, static_cast<int>(index) + 1, 0}.text(); }

 private:
  Ids checked(size_t index, const Ids& whole, const std::string& text) {
    const auto length = static_cast<std::int64_t>(whole.size());
    if (whole.empty()) throw FormatError(place(index), "the text has no tokens");
    const bool cut = options_.max_tokens > 0 && length > options_.max_tokens;
    if (cut && cuts_++ == 0) first_cut_ = index;
    Ids ids = text::cut_ids(tokenizer_, text, whole, options_.max_tokens);
    const auto left = static_cast<std::int64_t>(ids.size());
    if (info_.positions > 0 && left > info_.positions) refuse_or_count(index, left);
    return ids;
  }

  void refuse_or_count(size_t index, std::int64_t length) {
    if (info_.positions_end)
      throw InputError(fmt::format("{}: {} tokens, but {} has learned positions for {} only; shorten the text",
                                   place(index), length, info_.path.string(), info_.positions));
    log_.warning(
        fmt::format("{}: {} tokens, more than the {} positions of {}; it runs on them, but was not made for "
                    "that",
                    place(index), length, info_.positions, info_.path.string()));
  }

  void warn_of_cuts(size_t count) const {
    if (cuts_ == 0) return;
    log_.warning(
        fmt::format("{}: {} of {} texts are longer than {} tokens (max_seq_length) and were cut, the first at "
                    "line {}",
                    options_.source, cuts_, count, options_.max_tokens, first_cut_ + 1));
  }

  const model::ModelInfo& info_;
  const text::Tokenizer& tokenizer_;
  const EmbedOptions& options_;
  Log& log_;
  size_t cuts_ = 0, first_cut_ = 0;
};

void check_embedding(const model::BaseModel& model, const model::Composition& composition,
                     const EmbedOptions& options) {
  if (model.info().kind != model::Kind::kEncoder)
    throw InputError(fmt::format("{} (family {}) is no encoder; sentence embeddings need one, such as BERT",
                                 model.info().path.string(), model.info().family));
  if (options.batch_tokens < 1 || options.max_tokens < 0)
    throw UsageError(fmt::format("batch_tokens is {} and max_tokens {}, expected at least 1 and 0",
                                 options.batch_tokens, options.max_tokens));
  if (composition.experts.count() > 0 && composition.mix.rows != nn::Mix::Rows::kModel)
    throw UsageError("embeddings take one row of weights for all texts");
}

}  // namespace

Tensor embed(const model::BaseModel& model, const text::Tokenizer& tokenizer, std::span<const std::string> texts,
             const model::Composition& composition, const EmbedOptions& options) {
  check_embedding(model, composition, options);
  Log& log = options.log != nullptr ? *options.log : silent_log();
  LineEncoder encoder(model.info(), tokenizer, options, log);
  const TokenStore store = encoder.encode(texts);
  std::vector<std::int64_t> lengths;
  for (size_t i = 0; i < texts.size(); ++i) lengths.push_back(store.length(i));
  const auto total = static_cast<std::int64_t>(texts.size());
  const Tensor out = at::zeros({total, model.info().width}, at::kFloat);
  std::int64_t done = 0;
  log.progress("embedding", 0, total, {});
  for (const std::vector<size_t>& indices : data::make_batches(lengths, options.batch_tokens)) {
    nn::Batch batch;
    std::vector<std::int64_t> rows;
    for (const size_t index : indices) {
      batch.ids.push_back(store.get(index));
      rows.push_back(static_cast<std::int64_t>(index));
    }
    const Tensor found = model.embed(batch, composition).to(at::kCPU, at::kFloat);
    const Tensor wrong = at::nonzero(at::logical_not(found.isfinite().all(1)));
    if (wrong.size(0) > 0)
      throw InputError(fmt::format("{}: the model's output is not finite",
                                   encoder.place(indices[static_cast<size_t>(wrong[0].item<std::int64_t>())])));
    out.index_copy_(0, at::tensor(at::ArrayRef<std::int64_t>(rows), at::kLong), found);
    done += static_cast<std::int64_t>(indices.size());
    log.progress("embedding", done, total, {});
  }
  return out;
}

std::int64_t max_sequence_length(const std::filesystem::path& folder) {
  constexpr size_t kLimit = size_t{1} << 20;
  const std::filesystem::path path = folder / "sentence_bert_config.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return 0;
  const Value config = io::read_json(path, kLimit);
  if (!config.is_map())
    throw FormatError(path.string(), fmt::format("{}, expected an object with max_seq_length", config.describe()));
  const Value* lower = config.find("do_lower_case");
  if (lower != nullptr && lower->boolean().value_or(false))
    throw UnsupportedError(
        fmt::format("{}: do_lower_case is true, which is not computed; put the texts into lower case "
                    "and set it to false",
                    lower->place.text()));
  const Value* length = config.find("max_seq_length");
  if (length == nullptr || length->is_null()) return 0;
  const auto number = length->integer();
  if (!number || *number < 1)
    throw FormatError(length->place.text(),
                      fmt::format("max_seq_length is {}, expected a whole number from 1", length->describe()));
  return *number;
}

}  // namespace weft::eval
