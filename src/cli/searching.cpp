#include "cli/searching.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <utility>

#include "cli/console.h"
#include "cli/json_out.h"
#include "cli/numbers.h"
#include "cli/search_summary.h"
#include "dist/placement.h"
#include "flow/dtype.h"
#include "flow/search_result.h"
#include "weft/recipe/recipe.h"

namespace weft::cli {

namespace {

Value searching_json(const flow::SearchJob& job, const flow::SearchReport& report) {
  Value out = Value::make_map();
  out.set("output", Value::text(report.output.string()));
  out.set("search", flow::search_record(job, report));
  out.set("resumed", Value::of_int(report.resumed));
  out.set("seconds", json_number(report.seconds));
  out.set("warnings", json_texts(report.warnings));
  return out;
}

void print_searching(const flow::SearchJob& job, const flow::SearchReport& report, std::ostream& out) {
  out << fmt::format("wrote {}, {}\n", report.output.string(), format_seconds(report.seconds));
  print_summary(summary_of(job, report), out);
  if (report.resumed > 0) out << fmt::format("\n  {} evaluations were found in the journal\n", report.resumed);
}

}  // namespace

void add_searching_flags(CLI::App& command, SearchingFlags& flags) {
  command.add_option("-o,--output", flags.output, "folder to write; must not exist unless --force")->type_name("OUT");
  command
      .add_option("--dtype", flags.dtype,
                  "of what is written: float32, float16 or bfloat16; default: the inputs', float32 if they differ")
      ->type_name("DTYPE");
  command.add_option("--rank", flags.rank, "of what is written: exact (default) or a number, cut by SVD")
      ->type_name("exact|N");
  command.add_flag("--force", flags.force, "replace OUT; the old one stays until the new one is whole");
  command.add_option("--threads", flags.threads, "threads to use; default: all processors")->type_name("N");
  command.add_flag("--print-recipe", flags.print_recipe,
                   "print the recipe that says the same, its paths relative to this folder, and stop");
  command.add_flag("--json", flags.json, "print the report as JSON, described below");
  command.add_flag("-q,--quiet", flags.quiet, "no report, no progress, no warnings");
}

void run_searching(flow::SearchJob job, const SearchingFlags& flags, Session& session) {
  if (!flags.output.empty()) job.output = flags.output;
  if (!flags.dtype.empty()) {
    flow::dtype_called(flags.dtype, {"--dtype", 0, 0});
    job.dtype = flags.dtype;
  }
  if (!flags.rank.empty()) job.rank = flags.rank == "exact" ? 0 : positive_count(flags.rank, "--rank");
  if (flags.force) job.force = true;
  job.runtime.threads = thread_count(flags.threads);
  if (flags.print_recipe) {
    session.out << recipe::to_yaml(flow::to_recipe(job));
    return;
  }
  // All ranks find the same; one voice is enough.
  const bool speaks = dist::read_placement(dist::process_environment()).rank == 0;
  Console console(session, flags.quiet || !speaks);
  const flow::SearchReport report = flow::search(job, console);
  if (!speaks) return;
  if (flags.json)
    print_json(session.out, searching_json(job, report));
  else if (!flags.quiet)
    print_searching(job, report, session.out);
}

void run_search_recipe(const std::string& recipe, const SearchingFlags& flags, Session& session) {
  run_searching(flow::load_search_recipe(recipe), flags, session);
}

}  // namespace weft::cli
