#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/session.h"
#include "cli/sources.h"
#include "cli/training.h"
#include "weft/recipe/recipe.h"

namespace weft::cli {

namespace {

struct TrainFlags : TrainingFlags {
  std::string recipe, base, data, validation, weights;
  std::string prompt, completion, text;
  std::vector<std::string> start;
  std::map<std::string, std::string> settings;  ///< by the option's name
  bool weights_given = false;
};

std::string flag_name(const std::string& option) {
  std::string out = option;
  std::replace(out.begin(), out.end(), '_', '-');
  return "--" + out;
}

/// A flag for every option of a training.
void add_option_flags(CLI::App& command, TrainFlags& flags) {
  for (const train::Option& option : train::options()) {
    const Field& field = option.field;
    const auto keep = [&flags, name = field.name](const std::string& text) { flags.settings[name] = text; };
    const std::string flag = flag_name(field.name);
    if (field.type == Field::Type::kBoolean) {
      const std::string other = flag + ",!--no-" + flag.substr(2);
      command.add_flag_function(
          other, [keep](std::int64_t count) { keep(count > 0 ? "true" : "false"); },
          fmt::format("{}; default: {}", field.doc, field.fallback));
      continue;
    }
    const char* type = field.type == Field::Type::kInteger  ? "N"
                       : field.type == Field::Type::kNumber ? "X"
                       : field.type == Field::Type::kChoice ? "NAME"
                                                            : "TEXT";
    std::string doc = field.doc;
    if (field.type == Field::Type::kChoice) doc += " (" + field.range() + ")";
    if (!field.fallback.empty()) doc += "; default: " + field.fallback;
    command.add_option_function<std::string>(flag, keep, doc)->type_name(type);
  }
}

void apply_settings(const TrainFlags& flags, train::TrainOptions& options) {
  for (const train::Option& option : train::options()) {
    const auto given = flags.settings.find(option.field.name);
    if (given == flags.settings.end()) continue;
    const std::string flag = flag_name(option.field.name);
    const bool text = option.field.type == Field::Type::kText;
    Value value = text ? Value::text(given->second) : recipe::parse_option(given->second, flag);
    value.place = {flag, 0, 0};
    train::set_option(options, option.field.name, value, value.place);
  }
}

void apply_start(const TrainFlags& flags, flow::TrainRun& run) {
  if (!flags.start.empty()) {
    run.start.clear();
    run.start_weights.clear();
    for (const std::string& text : flags.start) run.start.push_back(source_of(text));
  }
  if (!flags.weights_given) return;
  if (run.start.empty()) throw UsageError("--weights without --init: there is nothing to weigh");
  const Value list = recipe::parse_option("[" + flags.weights + "]", "--weights");
  if (list.list.empty()) throw UsageError("--weights is empty; give one number per --init");
  run.start_weights.clear();
  for (const Value& item : list.list) {
    const auto number = item.number();
    if (!number) throw UsageError(fmt::format("--weights: {} is not a number", item.describe()));
    run.start_weights.push_back(*number);
  }
}

flow::TrainRun run_of(const TrainFlags& flags) {
  flow::TrainRun run;
  if (!flags.recipe.empty()) run = flow::load_train_recipe(flags.recipe);
  if (!flags.base.empty()) run.base = flags.base;
  if (!flags.data.empty()) run.data = flags.data;
  if (!flags.validation.empty()) run.validation = flags.validation;
  if (!flags.prompt.empty()) run.form.prompt = flags.prompt;
  if (!flags.completion.empty()) run.form.completion = flags.completion;
  if (!flags.text.empty()) run.form.text = flags.text;
  apply_start(flags, run);
  apply_settings(flags, run.options);
  return run;
}

}  // namespace

void add_train(CLI::App& root, Session& session) {
  const auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = root.add_subcommand("train", "Train an adapter, or all weights of a small model");
  command->add_option("RECIPE", flags->recipe, "YAML file with 'train:'; flags win over it")->type_name("");
  command->add_option("--base", flags->base, "folder of the base model: config.json, weights, tokenizer")
      ->type_name("DIR");
  command->add_option("--data", flags->data, "examples; shapes as in weft eval --help")->type_name("FILE");
  command->add_option("--validation", flags->validation, "more examples: the weights with the lowest loss are kept")
      ->type_name("FILE");
  command->add_option("--prompt-template", flags->prompt, "prompt made of fields, as in 'Q: {input} A:'")
      ->type_name("TEXT");
  command->add_option("--completion-template", flags->completion, "completion made of fields")->type_name("TEXT");
  command->add_option("--text-template", flags->text, "text made of fields")->type_name("TEXT");
  command
      ->add_option("--init", flags->start,
                   "adapter to start from, repeated for several, which are summed and cut to the rank")
      ->type_name("PATH")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  command
      ->add_option_function<std::string>(
          "--weights",
          [flags = flags.get()](const std::string& text) {
            flags->weights = text;
            flags->weights_given = true;
          },
          "one number per --init; default: 1 each")
      ->type_name("W,W,...");
  add_training_flags(*command, *flags);
  add_option_flags(*command, *flags);
  command->footer(
      "A causal or seq2seq model learns texts and completions; an encoder learns labels, by its head or, without one,\n"
      "by the similarity of text and label name, which needs no head and so composes across tasks.\n"
      "OUT.training beside the output holds the last checkpoint: the same command goes on from it.\n\n"
      "Examples:\n"
      "  weft train --base models/llama --data task.jsonl --rank 8 --targets q_proj,v_proj --epochs 3 -o zoo/task\n"
      "  weft train --base models/minilm --data train.jsonl --validation dev.jsonl --layers 3,4,5 --steps 100 -o out\n"
      "  weft train --base models/llama --data few.jsonl --init zoo/reverse --init zoo/upper --steps 30 -o zoo/both");
  command->callback([flags, &session] { run_training(run_of(*flags), *flags, session); });
}

}  // namespace weft::cli
