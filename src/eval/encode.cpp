#include "eval/encode.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "weft/core/parallel.h"
#include "weft/core/value.h"

namespace weft::eval {

namespace {

using Ids = std::vector<std::int64_t>;

constexpr size_t kExamplesAtOnce = 1024;

/// The ids of one example before they are checked. Of a choice example one completion each.
struct RawIds {
  Ids text;
  std::vector<Ids> completions;
};

void check_examples_suit(const data::Examples& examples, const model::ModelInfo& info) {
  const auto refuse = [&](const std::string& why) {
    throw InputError(fmt::format("{}: {} examples do not suit {}: {}", examples.file.string(),
                                 data::kind_name(examples.kind), info.path.string(), why));
  };
  if (examples.kind == data::Kind::kLabel) {
    if (info.labels.empty())
      refuse(fmt::format("{} has no classification head, and label similarity needs an encoder, such as BERT",
                         info.architecture));
    if (info.labels.size() < 2) refuse("its head has one label only, there is nothing to choose from");
    return;
  }
  if (info.kind == model::Kind::kEncoder)
    refuse("it is an encoder and predicts no tokens; give it examples with 'text' and 'label'");
  if (info.kind == model::Kind::kSeq2Seq && examples.kind == data::Kind::kText)
    refuse("it is an encoder-decoder; give it examples with 'prompt' and 'completion'");
}

std::string label_suggestion(const std::string& label, const std::vector<std::string>& labels,
                             const std::string& owner) {
  constexpr size_t kMostLabels = 12;
  if (labels.size() <= kMostLabels || !nearest(label, labels).empty()) return suggestion(label, labels);
  return fmt::format("; {} has {} labels: {}, ...", owner, labels.size(),
                     fmt::join(labels.begin(), labels.begin() + kMostLabels, ", "));
}

/// Keeps what the checks of all examples share.
class ExampleEncoder {
 public:
  ExampleEncoder(const data::Examples& examples, const model::ModelInfo& info, const text::Tokenizer& tokenizer,
                 bool all_choices, bool append_end)
      : examples_(examples),
        info_(info),
        tokenizer_(tokenizer),
        all_choices_(all_choices),
        bare_(tokenizer.encode("", true).size()) {
    if (append_end) find_end();
  }

  /// Safe from several threads.
  RawIds tokenise(const data::Example& example) const {
    RawIds out;
    out.text = tokenizer_.encode(example.text, true);
    for (const size_t choice : choices_of(example)) {
      Ids& ids = out.completions.emplace_back(tokenizer_.encode(
          examples_.kind == data::Kind::kChoice ? example.choices[choice] : example.completion, is_seq2seq()));
      if (end_ >= 0 && !ids.empty() && ids.back() != end_) ids.push_back(end_);
    }
    return out;
  }

  /// Checks one example and appends its units, in file order.
  void append(size_t index, const RawIds& ids, Encoded& out) {
    const bool prompt = !ids.completions.empty();
    if (ids.text.empty()) refuse(index, fmt::format("{} has no tokens", prompt ? "the prompt" : "the text"));
    if (examples_.kind == data::Kind::kText && ids.text.size() < 2)
      refuse(index, "the text has one token only: nothing predicts the first, so there is nothing to score");
    if (!prompt) {
      const size_t label =
          examples_.kind == data::Kind::kLabel ? find_label(examples_, index, info_.labels, "the model") : 1;
      return append_unit({index, 0}, ids.text, {}, label, out);
    }
    const std::vector<size_t> choices = choices_of(examples_.list[index]);
    for (size_t i = 0; i < choices.size(); ++i) {
      if (ids.completions[i].size() <= (is_seq2seq() ? bare_ : 0))
        refuse(index, examples_.kind == data::Kind::kChoice ? fmt::format("choice {} has no tokens", choices[i])
                                                            : "the completion has no tokens");
      append_unit({index, choices[i]}, ids.text, ids.completions[i], ids.text.size(), out);
    }
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
  void find_end() {
    const bool answers = examples_.kind == data::Kind::kCompletion || examples_.kind == data::Kind::kChoice;
    if (info_.kind != model::Kind::kCausal || !answers)
      throw UsageError(fmt::format("append_end is for the completions of causal models; {} has {} examples for {}",
                                   examples_.file.string(), data::kind_name(examples_.kind), info_.architecture));
    if (!info_.end_tokens.empty())
      end_ = info_.end_tokens.front();
    else if (tokenizer_.eos())
      end_ = *tokenizer_.eos();
    else
      throw UsageError(fmt::format("append_end: {} has no end token", info_.path.string()));
  }

  bool is_seq2seq() const { return info_.kind == model::Kind::kSeq2Seq; }

  [[noreturn]] void refuse(size_t index, const std::string& why) const {
    throw FormatError(examples_.place(index).text(), why);
  }

  /// Which choices an example runs; 0 for its completion; none when there is nothing but a text.
  std::vector<size_t> choices_of(const data::Example& example) const {
    if (examples_.kind == data::Kind::kCompletion) return {0};
    if (examples_.kind != data::Kind::kChoice) return {};
    if (!all_choices_) return {static_cast<size_t>(example.answer)};
    std::vector<size_t> all(example.choices.size());
    std::iota(all.begin(), all.end(), size_t{0});
    return all;
  }

  void append_unit(Unit unit, const Ids& text, const Ids& completion, size_t scored, Encoded& out) {
    Ids input = text;
    if (!is_seq2seq()) input.insert(input.end(), completion.begin(), completion.end());
    check_length(unit.example, static_cast<std::int64_t>(input.size()));
    auto length = static_cast<std::int64_t>(input.size());
    if (is_seq2seq()) {
      check_length(unit.example, static_cast<std::int64_t>(completion.size()));
      out.targets.add(completion);
      length += static_cast<std::int64_t>(completion.size());
    }
    out.inputs.add(input);
    out.lengths.push_back(length);
    out.scored.push_back(static_cast<std::int32_t>(scored));
    out.units.push_back(unit);
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
  bool all_choices_;
  std::int64_t end_ = -1;  ///< follows completions; -1: nothing does
  size_t bare_;            ///< special tokens that the tokenizer puts around an empty text
  size_t too_long_ = 0, longest_at_ = 0, last_counted_ = SIZE_MAX;
  std::int64_t longest_ = 0;
};

}  // namespace

size_t find_label(const data::Examples& examples, size_t index, const std::vector<std::string>& labels,
                  const std::string& owner) {
  const data::Example& example = examples.list[index];
  const auto refuse = [&](const std::string& why) { throw FormatError(examples.place(index).text(), why); };
  if (example.label.empty()) {
    if (example.label_index < 0 || example.label_index >= static_cast<std::int64_t>(labels.size()))
      refuse(fmt::format("label {}, but {} has {} labels, counted from 0", example.label_index, owner, labels.size()));
    return static_cast<size_t>(example.label_index);
  }
  const auto found = std::find(labels.begin(), labels.end(), example.label);
  if (found == labels.end())
    refuse(fmt::format("unknown label '{}'{}", example.label, label_suggestion(example.label, labels, owner)));
  return static_cast<size_t>(found - labels.begin());
}

Encoded encode(const data::Examples& examples, const model::ModelInfo& info, const text::Tokenizer& tokenizer,
               bool all_choices, const EvalOptions& options, Log& log) {
  check_examples_suit(examples, info);
  ExampleEncoder encoder(examples, info, tokenizer, all_choices, options.append_end);
  Encoded out;
  const size_t count = examples.list.size();
  for (size_t begin = 0; begin < count; begin += kExamplesAtOnce) {
    log.progress("tokenising", static_cast<std::int64_t>(begin), static_cast<std::int64_t>(count), {});
    std::vector<RawIds> raw(std::min(kExamplesAtOnce, count - begin));
    parallel_for(static_cast<std::int64_t>(raw.size()), options.threads, [&](std::int64_t i) {
      raw[static_cast<size_t>(i)] = encoder.tokenise(examples.list[begin + static_cast<size_t>(i)]);
    });
    for (size_t i = 0; i < raw.size(); ++i) encoder.append(begin + i, raw[i], out);
  }
  log.progress("tokenising", static_cast<std::int64_t>(count), static_cast<std::int64_t>(count), {});
  encoder.warn_of_long_examples(log);
  return out;
}

}  // namespace weft::eval
