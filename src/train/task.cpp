#include "train/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "io/sha256.h"
#include "text/encode_text.h"
#include "text/label_text.h"
#include "weft/core/value.h"

namespace weft::train {
namespace {

using Ids = std::vector<std::int64_t>;

Objective objective_of(const data::Examples& examples, const model::ModelInfo& info) {
  const auto refuse = [&](std::string_view why) {
    throw InputError(fmt::format("{}: {} examples do not suit {}: {}", examples.file.string(),
                                 data::kind_name(examples.kind), info.path.string(), why));
  };
  const bool labelled = examples.kind == data::Kind::kLabel;
  if (labelled && info.kind != model::Kind::kEncoder)
    refuse(
        "it predicts tokens; make prompts and completions of texts and labels with a template, as in "
        "--prompt-template '{text}: ' --completion-template '{label}'");
  if (labelled) return info.labels.size() > 1 ? Objective::kHead : Objective::kSimilarity;
  if (info.kind == model::Kind::kEncoder)
    refuse("it is an encoder and predicts no tokens; give it examples with 'text' and 'label'");
  if (info.kind == model::Kind::kCausal) return Objective::kTokens;
  if (examples.kind == data::Kind::kText) refuse("it is an encoder-decoder; give it prompts and completions");
  return Objective::kTarget;
}

/// Makes a task of examples, one after the other.
class TaskMaker {
 public:
  TaskMaker(const data::Examples& examples, const model::ModelInfo& info, const text::Tokenizer& tokenizer,
            const TrainOptions& options)
      : examples_(examples), info_(info), tokenizer_(tokenizer), options_(options) {
    task_.objective = objective_of(examples, info);
    if (!info.end_tokens.empty())
      end_ = info.end_tokens.front();
    else if (tokenizer.eos())
      end_ = *tokenizer.eos();
  }

  Task make(const std::vector<std::string>& labels, Log& log) {
    check_room();
    set_labels(labels);
    for (size_t i = 0; i < examples_.list.size(); ++i) add(i);
    if (labels.empty()) check_classes();
    if (too_long_ > 0)
      log.warning(
          fmt::format("{}: {} of {} examples are longer than the {} positions of {}; it runs on them, but was "
                      "not made for that (max_tokens cuts them)",
                      examples_.file.string(), too_long_, examples_.list.size(), info_.positions, info_.path.string()));
    return std::move(task_);
  }

 private:
  [[noreturn]] void refuse(size_t index, const std::string& why) const {
    throw FormatError(examples_.place(index).text(), why);
  }

  void check_room() const {
    const size_t around = tokenizer_.encode("", true).size();
    if (options_.max_tokens > 0 && static_cast<size_t>(options_.max_tokens) <= around)
      throw UsageError(fmt::format("max_tokens of {} leaves nothing of a text: {} special tokens stand around each",
                                   options_.max_tokens, around));
  }

  /// Of what is learned from, not of what validates.
  void check_classes() const {
    const auto& label = task_.label;
    if (label.empty() || std::any_of(label.begin(), label.end(), [&](std::int64_t l) { return l != label.front(); }))
      return;
    throw InputError(fmt::format("{}: every example has the label '{}'; with one class there is nothing to learn",
                                 examples_.file.string(), task_.labels[static_cast<size_t>(label.front())]));
  }

  void check_different(const std::string& label, const Ids& ids) const {
    const auto found = std::find(task_.label_inputs.begin(), task_.label_inputs.end(), ids);
    if (found == task_.label_inputs.end()) return;
    const auto other = static_cast<size_t>(found - task_.label_inputs.begin());
    throw InputError(
        fmt::format("{}: the labels '{}' and '{}' have the same tokens{}, so that nothing tells them apart; rename one",
                    examples_.file.string(), task_.labels[other], label,
                    options_.max_tokens > 0 ? fmt::format(" (max_tokens is {})", options_.max_tokens) : ""));
  }

  void set_labels(const std::vector<std::string>& labels) {
    if (task_.objective == Objective::kHead) task_.labels = info_.labels;
    if (task_.objective != Objective::kSimilarity) return;
    task_.labels = labels.empty() ? examples_.labels : labels;
    if (task_.labels.empty())
      throw InputError(
          fmt::format("{}: labels are given as numbers, but similarity compares texts with the labels' "
                      "names; write names",
                      examples_.file.string()));
    if (task_.labels.size() < 2)
      throw InputError(fmt::format("{}: every example has the label '{}'; with one class there is nothing to learn",
                                   examples_.file.string(), task_.labels.front()));
    for (const std::string& label : task_.labels) {
      Ids ids = cut(text::label_text(options_.label_template, label));
      if (ids.empty()) throw InputError(fmt::format("the label '{}' has no tokens", label));
      check_different(label, ids);
      task_.label_inputs.push_back(std::move(ids));
    }
  }

  Ids cut(const std::string& text) const { return text::encode_text(tokenizer_, text, options_.max_tokens).ids; }

  void add(size_t index) {
    const data::Example& example = examples_.list[index];
    switch (task_.objective) {
      case Objective::kTokens: return add_tokens(index, example);
      case Objective::kTarget: return add_target(index, example);
      case Objective::kHead:
      case Objective::kSimilarity: break;
    }
    add_input(index, cut(example.text), "the text");
    task_.label.push_back(label_of(index, example));
  }

  std::string right_answer(const data::Example& example) const {
    return examples_.kind == data::Kind::kChoice ? example.choices[static_cast<size_t>(example.answer)]
                                                 : example.completion;
  }

  void add_tokens(size_t index, const data::Example& example) {
    if (examples_.kind == data::Kind::kText) {
      Ids ids = cut(example.text);
      if (ids.size() < 2) refuse(index, "the text has one token only: nothing predicts the first");
      task_.first.push_back(1);
      return add_input(index, std::move(ids), "the text");
    }
    Ids ids = tokenizer_.encode(example.text, true);
    Ids completion = tokenizer_.encode(right_answer(example), false);
    if (completion.empty()) refuse(index, "the completion has no tokens");
    if (options_.append_end) append_end(completion);
    if (ids.empty()) refuse(index, "the prompt has no tokens");
    shorten_prompt(index, ids, completion);
    task_.first.push_back(static_cast<std::int64_t>(ids.size()));
    ids.insert(ids.end(), completion.begin(), completion.end());
    add_input(index, std::move(ids), "the prompt");
  }

  void add_target(size_t index, const data::Example& example) {
    Ids target = cut(right_answer(example));
    if (target.size() <= tokenizer_.encode("", true).size()) refuse(index, "the completion has no tokens");
    check_length(index, target.size());
    task_.targets.push_back(std::move(target));
    add_input(index, cut(example.text), "the prompt");
  }

  void append_end(Ids& ids) const {
    if (end_ >= 0 && (ids.empty() || ids.back() != end_)) ids.push_back(end_);
  }

  /// A prompt that is too long loses its beginning (the first token, where a start token stands, stays): what the
  /// completion answers stands at its end.
  void shorten_prompt(size_t index, Ids& prompt, const Ids& completion) const {
    const auto most = static_cast<size_t>(options_.max_tokens);
    if (most == 0 || prompt.size() + completion.size() <= most) return;
    if (completion.size() + 2 > most)
      refuse(index, fmt::format("the completion alone has {} tokens; max_tokens of {} leaves no room for a prompt",
                                completion.size(), most));
    const size_t kept = most - completion.size();
    prompt.erase(prompt.begin() + 1, prompt.end() - static_cast<std::ptrdiff_t>(kept - 1));
  }

  void add_input(size_t index, Ids ids, std::string_view what) {
    if (ids.empty()) refuse(index, fmt::format("{} has no tokens", what));
    check_length(index, ids.size());
    task_.inputs.push_back(std::move(ids));
  }

  void check_length(size_t index, size_t length) {
    if (info_.positions <= 0 || static_cast<std::int64_t>(length) <= info_.positions) return;
    if (info_.positions_end)
      throw InputError(
          fmt::format("{}: {} tokens, but {} has learned positions for {} only; shorten the example or set "
                      "max_tokens",
                      examples_.place(index).text(), length, info_.path.string(), info_.positions));
    ++too_long_;
  }

  std::int64_t label_of(size_t index, const data::Example& example) const {
    const auto& labels = task_.labels;
    if (example.label.empty()) {
      if (example.label_index < static_cast<std::int64_t>(labels.size())) return example.label_index;
      refuse(index,
             fmt::format("label {}, but there are {} labels, counted from 0", example.label_index, labels.size()));
    }
    const auto found = std::find(labels.begin(), labels.end(), example.label);
    if (found == labels.end())
      refuse(index, fmt::format("unknown label '{}'{}", example.label, suggestion(example.label, labels)));
    return found - labels.begin();
  }

  const data::Examples& examples_;
  const model::ModelInfo& info_;
  const text::Tokenizer& tokenizer_;
  const TrainOptions& options_;
  std::int64_t end_ = -1;
  size_t too_long_ = 0;
  Task task_;
};

}  // namespace

std::int64_t Task::scored(std::int64_t index) const {
  const auto at = static_cast<size_t>(index);
  if (objective == Objective::kTokens) return static_cast<std::int64_t>(inputs[at].size()) - first[at];
  return objective == Objective::kTarget ? static_cast<std::int64_t>(targets[at].size()) : 1;
}

std::int64_t Task::length(std::int64_t index) const {
  const auto at = static_cast<size_t>(index);
  return static_cast<std::int64_t>(inputs[at].size() + (targets.empty() ? 0 : targets[at].size()));
}

std::string Task::fingerprint() const {
  std::string all = fmt::format("{};", static_cast<int>(objective));
  const auto add = [&all](const Ids& ids) {
    for (const std::int64_t id : ids) fmt::format_to(std::back_inserter(all), "{},", id);
    all += ';';
  };
  for (const auto* lists : {&inputs, &targets, &label_inputs})
    for (const Ids& ids : *lists) add(ids);
  add(first);
  add(label);
  return io::sha256(all.data(), all.size());
}

Task make_task(const data::Examples& examples, const model::ModelInfo& info, const text::Tokenizer& tokenizer,
               const TrainOptions& options, const std::vector<std::string>& labels, Log& log) {
  if (examples.list.empty()) throw InputError(fmt::format("{}: has no examples", examples.file.string()));
  return TaskMaker(examples, info, tokenizer, options).make(labels, log);
}

}  // namespace weft::train
