#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/json_out.h"
#include "cli/numbers.h"
#include "cli/runtime_options.h"
#include "cli/session.h"
#include "cli/table.h"
#include "weft/eval/evaluate.h"

namespace weft::cli {

namespace {

struct EvalFlags {
  RuntimeFlags runtime;
  std::string data, metrics, batch_tokens;
  bool metrics_given = false, json = false, per_example = false, quiet = false;
};

/// Names between commas, each of them known: a misspelt one is found before anything is read.
std::vector<std::string> metric_names(const EvalFlags& flags) {
  std::vector<std::string> out;
  if (!flags.metrics_given) return out;
  for (size_t begin = 0; begin <= flags.metrics.size();) {
    const size_t end = std::min(flags.metrics.find(',', begin), flags.metrics.size());
    out.push_back(flags.metrics.substr(begin, end - begin));
    eval::find_metric(out.back());
    begin = end + 1;
  }
  return out;
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
  eval::EvalOptions options;
  options.metrics = metric_names(flags);
  if (!flags.batch_tokens.empty()) options.batch_tokens = positive_count(flags.batch_tokens, "--batch-tokens");
  const flow::RuntimeOptions runtime_flags = runtime_options(flags.runtime);
  options.threads = runtime_flags.threads;
  Console console(session, flags.quiet);
  options.log = &console;
  const data::Examples examples = data::read_examples(flags.data);
  eval::choose_metrics(options.metrics, examples.kind);  // before the model is opened
  const flow::Runtime runtime = flow::open_runtime(runtime_flags, console);
  const eval::Report report = eval::evaluate(runtime.model, runtime.tokenizer, examples, runtime.composition, options);
  if (flags.json)
    print_json(session.out, eval_json(report, flags.per_example));
  else
    print_eval(report, examples, flags.per_example, session.out);
}

std::string metrics_help() {
  Table table({"METRIC", "what it is"});
  for (const eval::Metric& metric : eval::metrics()) table.add({std::string(metric.name), std::string(metric.doc)});
  return table.text(2);
}

}  // namespace

void add_eval(CLI::App& root, Session& session) {
  const auto flags = std::make_shared<EvalFlags>();
  CLI::App* command = root.add_subcommand("eval", "Score a base model, with adapters attached or without");
  add_runtime_flags(*command, flags->runtime);
  command->add_option("--data", flags->data, "examples in JSON lines, shapes below")->required()->type_name("FILE");
  command
      ->add_option_function<std::string>(
          "--metric",
          [flags = flags.get()](const std::string& text) {
            flags->metrics = text;
            flags->metrics_given = true;
          },
          "metrics, below; default: loss,perplexity of tokens, accuracy,loss of labels")
      ->type_name("M,M,...");
  command->add_option("--batch-tokens", flags->batch_tokens, "tokens that run together at most; default: 2048")
      ->type_name("N");
  command->add_flag("--per-example", flags->per_example, "a row for every example too");
  command->add_flag("--json", flags->json, "print the numbers as JSON, described below");
  command->add_flag("-q,--quiet", flags->quiet, "no progress, no warnings");
  command->footer(
      "Examples, one JSON object a line, all of one shape:\n"
      "  {\"text\": ...}                       every token but the first is scored\n"
      "  {\"prompt\": ..., \"completion\": ...}  the completion is scored\n"
      "  {\"text\": ..., \"label\": ...}         for models with a classification head; a name or an index\n\n" +
      metrics_help() +
      "\nJSON: {metrics: {NAME: {value, low, high}}, and with --per-example\n"
      "  examples: [{index, nll, tokens, prediction, score}]}\n"
      "  low, high: 95 % of 1000 resamples of the examples; nll: a sum in nats, in file order; prediction, score: of\n"
      "  labels, null otherwise.\n\n"
      "Example:\n  weft eval --base models/llama --adapter zoo/reverse --adapter zoo/quote --weights 0.6,0.4 \\\n"
      "    --data test.jsonl --json");
  command->callback([flags, &session] { run_eval(*flags, session); });
}

}  // namespace weft::cli
