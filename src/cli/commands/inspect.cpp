#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/inspection.h"
#include "cli/json_out.h"
#include "cli/numbers.h"
#include "cli/session.h"
#include "cli/sources.h"

namespace weft::cli {

namespace {

struct InspectFlags {
  std::vector<std::string> paths;
  std::string threads;
  bool modules = false, headers = false, json = false, quiet = false;
};

void run_inspect(const InspectFlags& flags, Session& session) {
  std::vector<adapter::Pool::Source> sources;
  for (const std::string& text : flags.paths) sources.push_back(source_of(text));
  const int threads = thread_count(flags.threads);
  Console console(session, flags.quiet);
  const adapter::Pool pool = adapter::Pool::open(sources);
  std::optional<adapter::PoolReport> report;
  if (!flags.headers) report = adapter::inspect(pool, threads);
  const Inspection inspection{pool, report ? &*report : nullptr, flags.modules || pool.size() == 1};
  if (flags.json)
    print_json(session.out, inspection_json(inspection));
  else
    print_inspection(inspection, session.out);
  for (const std::string& text : inspection_warnings(inspection)) console.warning(text);
}

}  // namespace

void add_inspect(CLI::App& root, Session& session) {
  const auto flags = std::make_shared<InspectFlags>();
  CLI::App* command = root.add_subcommand("inspect", "Show what adapters hold and how they relate");
  command->add_option("PATH", flags->paths, "folders or files of adapters; NAME=PATH names one")
      ->required()
      ->type_name("");
  command->add_flag("--modules", flags->modules, "a row for every module (on for a single adapter)");
  command->add_flag("--headers", flags->headers, "read headers only: no norms, no similarities");
  command->add_option("--threads", flags->threads, "threads to use; default: all processors")->type_name("N");
  command->add_flag("--json", flags->json, "print all of it as JSON, described below");
  command->add_flag("-q,--quiet", flags->quiet, "no warnings");
  command->footer(
      "JSON: {adapters: [{name, path, base_model, format, type, variant, variants, parameters, dtype, norm,\n"
      "  modules: [{name, in, out, rank, scale, parameters, norm, effective_rank, singular_values}],\n"
      "  full_tensors: [{name, shape}], refusal, needs_base, warnings}],\n"
      "  pool: {modules, common_modules, compatible, cosine, gram, overlap, shared}, warnings}\n"
      "  cosine, gram: of the deltas over all modules; overlap: of column spaces, mean over shared modules;\n"
      "  shared: modules in common over modules in either; norms are Frobenius norms of deltas.\n\n"
      "Example:\n  weft inspect zoo/reverse zoo/quote --json");
  command->callback([flags, &session] { run_inspect(*flags, session); });
}

}  // namespace weft::cli
