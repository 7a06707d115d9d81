#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/console.h"
#include "cli/evaluating.h"
#include "cli/json_out.h"
#include "cli/runtime_options.h"
#include "cli/session.h"
#include "cli/table.h"
#include "weft/eval/evaluate.h"
#include "weft/eval/options.h"
#include "weft/flow/evaluate.h"

namespace weft::cli {

namespace {

/// An option of the evaluation as typed: its name in a recipe and its value with the flag for a place.
struct TypedOption {
  std::string name;
  Value value;
};

struct EvalFlags {
  RuntimeFlags runtime;
  std::string recipe, data;
  data::Template form;
  std::vector<TypedOption> options;
  bool json = false, per_example = false, quiet = false;
};

/// `batch_tokens` as a flag.
std::string flag_of(const eval::Option& option) {
  if (option.field.name == "metrics") return "--metric,--metrics";
  std::string out = "--" + option.field.name;
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

/// Names between commas: a list.
Value comma_list(const std::string& text, const Place& place) {
  Value out = Value::make_list();
  out.place = place;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    out.list.push_back(Value::text(text.substr(begin, end - begin)));
    out.list.back().place = place;
    begin = end + 1;
  }
  return out;
}

/// A text or a number as typed; texts are never numbers.
Value typed_value(const eval::Option& option, const std::string& text, const Place& place) {
  Value out = option.field.type == Field::Type::kText ? Value::text(text) : Value::of(text);
  out.place = place;
  return out;
}

/// A flag for every option of the table.
void add_eval_options(CLI::App& command, EvalFlags& flags) {
  for (const eval::Option& option : eval::options()) {
    const std::string name = option.field.name, flag = flag_of(option);
    const Place place{flag.substr(0, flag.find(',')), 0, 0};
    const std::string doc = fmt::format("{}; default: {}", option.field.doc, option.field.fallback);
    if (name == "stop") {
      command
          .add_option_function<std::vector<std::string>>(
              flag,
              [&flags, place](const std::vector<std::string>& texts) {
                Value list = Value::make_list();
                list.place = place;
                for (const std::string& text : texts) list.list.push_back(Value::text(text));
                flags.options.push_back({"stop", std::move(list)});
              },
              doc + "; may be repeated")
          ->expected(1)
          ->take_all()
          ->allow_extra_args(false)
          ->type_name("TEXT");
      continue;
    }
    command
        .add_option_function<std::string>(
            flag,
            [&flags, &option, place](const std::string& text) {
              flags.options.push_back(
                  {option.field.name, option.list ? comma_list(text, place) : typed_value(option, text, place)});
            },
            doc)
        ->type_name(option.list                                  ? "A,B,..."
                    : option.field.type == Field::Type::kInteger ? "N"
                    : option.field.type == Field::Type::kNumber  ? "X"
                                                                 : "TEXT");
  }
}

/// Base, adapters and weights: the flags', else the recipe's.
flow::RuntimeOptions merged_runtime(RuntimeFlags flags, const flow::RuntimeOptions& recipe) {
  const bool own_adapters = !flags.adapters.empty();
  if (flags.base.empty()) flags.base = recipe.base.string();
  if (flags.base.empty()) throw UsageError("--base is empty or missing; name the folder of the base model");
  if (!own_adapters)
    flags.adapters.assign(recipe.adapters.size(), "as in the recipe");  // so that --weights are counted
  flow::RuntimeOptions out = runtime_options(flags);
  if (own_adapters) return out;
  out.adapters = recipe.adapters;
  if (!flags.weights_given) out.weights = recipe.weights;
  return out;
}

flow::EvaluateJob eval_job(const EvalFlags& flags) {
  flow::EvaluateJob job = flags.recipe.empty() ? flow::EvaluateJob{} : flow::load_evaluate_recipe(flags.recipe);
  for (const TypedOption& option : flags.options)
    eval::set_option(job.options, option.name, option.value, option.value.place);
  job.runtime = merged_runtime(flags.runtime, job.runtime);
  if (!flags.data.empty()) job.data = flags.data;
  if (job.data.empty()) throw UsageError("--data is empty or missing; name the file of examples");
  if (!flags.form.prompt.empty()) job.reading.form.prompt = flags.form.prompt;
  if (!flags.form.completion.empty()) job.reading.form.completion = flags.form.completion;
  if (!flags.form.text.empty()) job.reading.form.text = flags.form.text;
  return job;
}

Value eval_json(const eval::Report& report, bool per_example) {
  Value metrics = Value::make_map();
  for (const eval::MetricValue& metric : report.metrics) {
    Value numbers = Value::make_map();
    numbers.set("value", json_number(metric.value));
    numbers.set("low", json_number(metric.low));
    numbers.set("high", json_number(metric.high));
    metrics.set(metric.name, std::move(numbers));
  }
  Value out = Value::make_map();
  out.set("metrics", std::move(metrics));
  if (!per_example) return out;
  Value examples = Value::make_list();
  for (const eval::ExampleResult& example : report.examples) {
    Value row = Value::make_map();
    row.set("index", Value::of_int(static_cast<long long>(examples.list.size())));
    row.set("nll", json_number(example.nll));
    row.set("tokens", Value::of_int(example.tokens));
    row.set("prediction", example.score ? Value::text(example.prediction) : Value());
    row.set("score", example.score ? Value::of(*example.score) : Value());
    examples.list.push_back(std::move(row));
  }
  out.set("examples", std::move(examples));
  return out;
}

void print_eval(const eval::Report& report, const data::Examples& examples, bool per_example, std::ostream& out) {
  Table table({"metric", ">value", ">low", ">high"});
  for (const eval::MetricValue& metric : report.metrics)
    table.add({metric.name, format_number(metric.value), format_number(metric.low), format_number(metric.high)});
  std::int64_t tokens = 0;
  for (const eval::ExampleResult& example : report.examples) tokens += example.tokens;
  out << table.text()
      << fmt::format("\n{} {} examples, {} {} scored; low to high: 95 % of resamples\n",
                     format_count(static_cast<std::int64_t>(report.examples.size())), data::kind_name(examples.kind),
                     format_count(tokens), examples.kind == data::Kind::kLabel ? "labels" : "tokens");
  if (!per_example) return;
  Table rows({">line", ">tokens", ">nll", "prediction", ">score"});
  for (size_t i = 0; i < report.examples.size(); ++i) {
    const eval::ExampleResult& example = report.examples[i];
    rows.add({std::to_string(examples.list[i].line), std::to_string(example.tokens), format_number(example.nll),
              example.score ? example.prediction : "-", example.score ? format_number(*example.score) : "-"});
  }
  out << "\n" << rows.text();
}

void run_eval(const EvalFlags& flags, Session& session) {
  const flow::EvaluateJob job = eval_job(flags);
  Console console(session, flags.quiet);
  const flow::Evaluation found = flow::run_evaluation(job, console);
  if (flags.json)
    print_json(session.out, eval_json(found.report, flags.per_example));
  else
    print_eval(found.report, found.examples, flags.per_example, session.out);
}

/// Which kinds of examples a metric fits.
std::string kinds_of(const eval::Metric& metric) {
  static const std::vector<std::pair<data::Kind, std::string>> kKinds = {{data::Kind::kText, "text"},
                                                                         {data::Kind::kCompletion, "completion"},
                                                                         {data::Kind::kChoice, "choice"},
                                                                         {data::Kind::kLabel, "label"}};
  std::vector<std::string> out;
  for (const auto& [kind, name] : kKinds)
    if (metric.misfit(kind).empty()) out.push_back(name);
  return out.size() == kKinds.size() ? "all" : fmt::format("{}", fmt::join(out, ", "));
}

std::string metrics_help() {
  Table table({"METRIC", "of", "what it is"});
  for (const eval::Metric& metric : eval::metrics())
    table.add(
        {metric.other_name.empty() ? std::string(metric.name) : fmt::format("{} ({})", metric.name, metric.other_name),
         kinds_of(metric), std::string(metric.doc)});
  return table.text(2);
}

constexpr const char* kShapesHelp =
    "Examples, all of one shape. JSON, one object a line:\n"
    "  {\"text\": ...}                         every token but the first is scored\n"
    "  {\"prompt\": ..., \"completion\": ...}    the completion is scored or generated; also as input, output\n"
    "  {\"prompt\": ..., \"choices\": [...], \"answer\": ...}  the most probable choice; answer: an index or a choice\n"
    "  {\"text\": ..., \"label\": ...}           a name or an index; a classification head chooses or, on an encoder\n"
    "                                        without one, label similarity: the nearest label's embedding\n"
    "and whole JSON files: BIG-Bench Hard, Super-NaturalInstructions, O-LoRA's (labels.json beside it).\n"
    "Templates make texts of a record's fields: --prompt-template 'Q: {input} A:', and {{ for a brace.\n\n";

constexpr const char* kOutputHelp =
    "\nRecipe: base_model, adapters (with parameters: {weight: w}), examples: {data, prompt, completion, text} and\n"
    "  eval: {...}, whose keys are the options above with _ for -, and 'metrics'. Flags win over the recipe.\n\n"
    "JSON: {metrics: {NAME: {value, low, high}}, and with --per-example\n"
    "  examples: [{index, nll, tokens, prediction, score}]}\n"
    "  low, high: 95 % of 1000 resamples of the examples; nll: a sum in nats, in file order, of several choices or\n"
    "  right answers that of the right one or the first; prediction, score: of the first metric that predicts, null\n"
    "  when there is none.\n\n"
    "Examples:\n"
    "  weft eval --base models/llama --adapter zoo/reverse --adapter zoo/quote --weights 0.6,0.4 \\\n"
    "    --data test.jsonl --metric exact_match,loss --json\n"
    "  weft eval --base models/minilm --adapter pool/ag_news --data ag_news/test.jsonl --max-tokens 40\n"
    "  weft eval recipes/eval.yml --metric rouge_l";

}  // namespace

void run_eval_recipe(const std::string& recipe, const std::string& threads, bool json, bool quiet, Session& session) {
  EvalFlags flags;
  flags.recipe = recipe;
  flags.runtime.threads = threads;
  flags.json = json, flags.quiet = quiet;
  run_eval(flags, session);
}

void add_eval(CLI::App& root, Session& session) {
  const auto flags = std::make_shared<EvalFlags>();
  CLI::App* command = root.add_subcommand("eval", "Score a base model, with adapters attached or without");
  command->add_option("recipe", flags->recipe, "a recipe with 'examples' and 'eval'; flags win over it")
      ->type_name("RECIPE");
  add_runtime_flags(*command, flags->runtime);
  command->get_option("--base")->required(false);  // a recipe may have it
  command->add_option("--data", flags->data, "examples, shapes below")->type_name("FILE");
  command->add_option("--prompt-template", flags->form.prompt, "the prompt, made of a record's fields")
      ->type_name("TEXT");
  command->add_option("--completion-template", flags->form.completion, "the completion, or every {choice}")
      ->type_name("TEXT");
  command->add_option("--text-template", flags->form.text, "the text")->type_name("TEXT");
  add_eval_options(*command, *flags);
  command->add_flag("--per-example", flags->per_example, "a row for every example too");
  command->add_flag("--json", flags->json, "print the numbers as JSON, described below");
  command->add_flag("-q,--quiet", flags->quiet, "no progress, no warnings");
  command->footer(kShapesHelp + metrics_help() + kOutputHelp);
  command->callback([flags, &session] { run_eval(*flags, session); });
}

}  // namespace weft::cli
