#include "eval/encode.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <utility>

#include "weft/core/parallel.h"
#include "weft/core/value.h"

namespace weft::eval {

namespace {

using Ids = std::vector<std::int64_t>;

constexpr size_t kExamplesAtOnce = 1024;

/// The ids of one example before they are checked.
struct RawIds {
  Ids text, completion;
};

void check_examples_suit(const data::Examples& examples, const model::ModelInfo& info) {
  const auto refuse = [&](const std::string& why) {
    throw InputError(fmt::format("{}: {} examples do not suit {}: {}", examples.file.string(),
                                 data::kind_name(examples.kind), info.path.string(), why));
  };
  if (examples.kind == data::Kind::kLabel) {
    if (info.labels.empty()) refuse(fmt::format("{} has no classification head", info.architecture));
    if (info.labels.size() < 2) refuse("its head has one label only, there is nothing to choose from");
    return;
  }
  if (info.kind == model::Kind::kEncoder)
    refuse("it is an encoder and predicts no tokens; give it examples with 'text' and 'label'");
  if (info.kind == model::Kind::kSeq2Seq && examples.kind == data::Kind::kText)
    refuse("it is an encoder-decoder; give it examples with 'prompt' and 'completion'");
}

/// Finds labels and keeps what the checks of all examples share.
class ExampleEncoder {
 public:
  ExampleEncoder(const data::Examples& examples, const model::ModelInfo& info, const text::Tokenizer& tokenizer)
      : examples_(examples), info_(info), tokenizer_(tokenizer), bare_(tokenizer.encode("", true).size()) {}

  /// Safe from several threads.
  RawIds tokenise(const data::Example& example) const {
    RawIds out;
    out.text = tokenizer_.encode(example.text, true);
    if (examples_.kind == data::Kind::kCompletion) out.completion = tokenizer_.encode(example.completion, is_seq2seq());
    return out;
  }

  /// Checks one example and appends it, in file order.
  void append(size_t index, RawIds ids, Encoded& out) {
    if (ids.text.empty())
      refuse(index,
             fmt::format("{} has no tokens", examples_.kind == data::Kind::kCompletion ? "the prompt" : "the text"));
    std::int64_t scored = 1;
    switch (examples_.kind) {
      case data::Kind::kText:
        if (ids.text.size() < 2)
          refuse(index, "the text has one token only: nothing predicts the first, so there is nothing to score");
        break;
      case data::Kind::kCompletion:
        if (ids.completion.size() <= (is_seq2seq() ? bare_ : 0)) refuse(index, "the completion has no tokens");
        scored = static_cast<std::int64_t>(ids.text.size());
        break;
      case data::Kind::kLabel: scored = label_of(index); break;
    }
    if (!is_seq2seq()) ids.text.insert(ids.text.end(), ids.completion.begin(), ids.completion.end());
    check_length(index, static_cast<std::int64_t>(ids.text.size()));
    out.inputs.add(ids.text);
    out.lengths.push_back(static_cast<std::int64_t>(ids.text.size()));
    if (is_seq2seq()) {
      check_length(index, static_cast<std::int64_t>(ids.completion.size()));
      out.targets.add(ids.completion);
      out.lengths.back() += static_cast<std::int64_t>(ids.completion.size());
    }
    out.scored.push_back(static_cast<std::int32_t>(scored));
  }

  void warn_of_long_examples(Log& log) const {
    if (too_long_ == 0) return;
    log.warning(
        fmt::format("{}: {} of {} examples are longer than the {} positions of {} (the longest, at line {}, has {} "
                    "tokens); it runs "
                    "on them, but was not made for that",
                    examples_.file.string(), too_long_, examples_.list.size(), info_.positions, info_.path.string(),
                    examples_.list[longest_at_].line, longest_));
  }

 private:
  bool is_seq2seq() const { return info_.kind == model::Kind::kSeq2Seq; }

  [[noreturn]] void refuse(size_t index, const std::string& why) const {
    throw FormatError(examples_.place(index).text(), why);
  }

  std::int64_t label_of(size_t index) const {
    const data::Example& example = examples_.list[index];
    const auto& labels = info_.labels;
    if (example.label.empty()) {
      if (example.label_index < static_cast<std::int64_t>(labels.size())) return example.label_index;
      refuse(index,
             fmt::format("label {}, but the model has {} labels, counted from 0", example.label_index, labels.size()));
    }
    const auto found = std::find(labels.begin(), labels.end(), example.label);
    if (found == labels.end())
      refuse(index, fmt::format("unknown label '{}'{}", example.label, label_suggestion(example.label)));
    return found - labels.begin();
  }

  std::string label_suggestion(const std::string& label) const {
    constexpr size_t kMostLabels = 12;
    if (info_.labels.size() <= kMostLabels || !nearest(label, info_.labels).empty())
      return suggestion(label, info_.labels);
    return fmt::format("; the model has {} labels: {}, ...", info_.labels.size(),
                       fmt::join(info_.labels.begin(), info_.labels.begin() + kMostLabels, ", "));
  }

  void check_length(size_t index, std::int64_t length) {
    if (info_.positions <= 0 || length <= info_.positions) return;
    if (info_.positions_end)
      throw InputError(fmt::format("{}: {} tokens, but {} has learned positions for {} only; shorten the example",
                                   examples_.place(index).text(), length, info_.path.string(), info_.positions));
    if (last_counted_ != index) ++too_long_;
    last_counted_ = index;
    if (length <= longest_) return;
    longest_ = length;
    longest_at_ = index;
  }

  const data::Examples& examples_;
  const model::ModelInfo& info_;
  const text::Tokenizer& tokenizer_;
  size_t bare_;  ///< special tokens that the tokenizer puts around an empty text
  size_t too_long_ = 0, longest_at_ = 0, last_counted_ = SIZE_MAX;
  std::int64_t longest_ = 0;
};

}  // namespace

Encoded encode(const data::Examples& examples, const model::ModelInfo& info, const text::Tokenizer& tokenizer,
               int threads, Log& log) {
  check_examples_suit(examples, info);
  ExampleEncoder encoder(examples, info, tokenizer);
  Encoded out;
  const size_t count = examples.list.size();
  for (size_t begin = 0; begin < count; begin += kExamplesAtOnce) {
    log.progress("tokenising", static_cast<std::int64_t>(begin), static_cast<std::int64_t>(count), {});
    std::vector<RawIds> raw(std::min(kExamplesAtOnce, count - begin));
    parallel_for(static_cast<std::int64_t>(raw.size()), threads, [&](std::int64_t i) {
      raw[static_cast<size_t>(i)] = encoder.tokenise(examples.list[begin + static_cast<size_t>(i)]);
    });
    for (size_t i = 0; i < raw.size(); ++i) encoder.append(begin + i, std::move(raw[i]), out);
  }
  log.progress("tokenising", static_cast<std::int64_t>(count), static_cast<std::int64_t>(count), {});
  encoder.warn_of_long_examples(log);
  return out;
}

}  // namespace weft::eval
