#include "cli/training.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <utility>

#include "cli/console.h"
#include "cli/json_out.h"
#include "cli/numbers.h"
#include "cli/table.h"
#include "weft/recipe/recipe.h"

namespace weft::cli {

namespace {

double tokens_per_second(const train::TrainReport& report) {
  return report.seconds > 0 ? static_cast<double>(report.tokens) / report.seconds : 0.0;
}

Value training_json(const train::TrainReport& report, const flow::TrainRun& run) {
  Value losses = Value::make_list(), norms = Value::make_list(), checks = Value::make_list();
  for (const train::TrainPoint& point : report.points) {
    losses.list.push_back(json_number(point.loss));
    norms.list.push_back(json_number(point.norm));
  }
  for (const train::TrainCheck& check : report.checks) {
    Value row = Value::make_map();
    row.set("step", Value::of_int(check.step));
    row.set("loss", json_number(check.loss));
    checks.list.push_back(std::move(row));
  }
  Value out = Value::make_map();
  out.set("output", Value::text(run.output.string()));
  out.set("parameters", Value::of_int(report.parameters));
  out.set("steps", Value::of_int(static_cast<long long>(report.points.size())));
  out.set("best_step", Value::of_int(report.best_step));
  out.set("resumed_from", Value::of_int(report.resumed_from));
  out.set("stopped_early", Value::of(report.stopped_early));
  out.set("losses", std::move(losses));
  out.set("gradient_norms", std::move(norms));
  out.set("validation", std::move(checks));
  out.set("tokens", Value::of_int(report.tokens));
  out.set("seconds", json_number(report.seconds));
  out.set("tokens_per_second", json_number(tokens_per_second(report)));
  return out;
}

void print_training(const train::TrainReport& report, const flow::TrainRun& run, std::ostream& out) {
  out << fmt::format("wrote {}: {} trained parameters, {}\n", run.output.string(), format_count(report.parameters),
                     run.dtype);
  out << fmt::format("  {} updates{}, loss {} at first, {} at last\n", report.points.size(),
                     report.stopped_early ? " (stopped early)" : "", format_number(report.points.front().loss),
                     format_number(report.points.back().loss));
  for (const train::TrainCheck& check : report.checks)
    if (check.step == report.best_step)
      out << fmt::format("  validation loss {} after update {}, whose weights are kept\n", format_number(check.loss),
                         check.step);
  if (report.resumed_from > 0) out << fmt::format("  went on from update {}\n", report.resumed_from);
  out << fmt::format("  {}, {:.0f} tokens/s\n", format_seconds(report.seconds), tokens_per_second(report));
}

}  // namespace

void add_training_flags(CLI::App& command, TrainingFlags& flags) {
  command.add_option("-o,--output", flags.output, "folder to write; must not exist unless --force")->type_name("OUT");
  command.add_option("--dtype", flags.dtype, "of what is written: float32 (default), bfloat16 or float16")
      ->type_name("DTYPE");
  command.add_flag("--force", flags.force, "replace OUT; the old one stays until the new one is whole");
  command.add_option("--threads", flags.threads, "threads to use; default: all processors")->type_name("N");
  command.add_flag("--print-recipe", flags.print_recipe,
                   "print the recipe that says the same, its paths relative to this folder, and stop");
  command.add_flag("--json", flags.json,
                   "print the report as JSON: {output, parameters, steps, best_step, resumed_from, stopped_early,\n"
                   "losses, gradient_norms, validation: [{step, loss}], tokens, seconds, tokens_per_second}");
  command.add_flag("-q,--quiet", flags.quiet, "no report, no progress, no warnings");
}

void run_training(flow::TrainRun run, const TrainingFlags& flags, Session& session) {
  if (!flags.output.empty()) run.output = flags.output;
  if (!flags.dtype.empty()) run.dtype = flags.dtype;
  if (flags.force) run.force = true;
  run.threads = thread_count(flags.threads);
  if (flags.print_recipe) {
    session.out << recipe::to_yaml(flow::to_recipe(run));
    return;
  }
  Console console(session, flags.quiet);
  const train::TrainReport report = flow::train(run, console);
  if (flags.json)
    print_json(session.out, training_json(report, run));
  else if (!flags.quiet)
    print_training(report, run, session.out);
}

}  // namespace weft::cli
