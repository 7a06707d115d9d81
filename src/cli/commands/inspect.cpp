#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/base_inspection.h"
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

void inspect_bases(const InspectFlags& flags, Session& session) {
  Console console(session, flags.quiet);
  Value list = Value::make_list();
  std::vector<BaseInspection> bases;
  for (const std::string& path : flags.paths) bases.push_back(inspect_base(path));
  for (const BaseInspection& base : bases) {
    if (flags.json)
      list.list.push_back(base_json(base));
    else
      print_base(base, flags.modules || bases.size() == 1, session.out);
    for (const std::string& text : base.warnings) console.warning(base.info.path.string() + ": " + text);
  }
  if (!flags.json) return;
  Value root = Value::make_map();
  root.set("models", std::move(list));
  print_json(session.out, root);
}

/// True when all paths are base models. @throws UsageError when only some are.
bool all_base_models(const std::vector<std::string>& paths) {
  const auto first =
      std::find_if(paths.begin(), paths.end(), [](const std::string& path) { return is_base_model(path); });
  if (first == paths.end()) return false;
  for (const std::string& path : paths)
    if (!is_base_model(path))
      throw UsageError(
          fmt::format("{} is a base model, {} is not; inspect base models and adapters apart", *first, path));
  return true;
}

void run_inspect(const InspectFlags& flags, Session& session) {
  if (all_base_models(flags.paths)) {
    inspect_bases(flags, session);
    return;
  }
  std::vector<adapter::Pool::Source> sources;
  for (const std::string& text : flags.paths) sources.push_back(source_of(text));
  const int threads = thread_count(flags.threads);
  Console console(session, flags.quiet);
  const adapter::Pool pool = adapter::Pool::open(sources);
  std::optional<adapter::PoolReport> report;
  if (!flags.headers) report = adapter::inspect(pool, threads);
  Inspection inspection{pool, report ? &*report : nullptr, flags.modules || pool.size() == 1};
  read_searches(inspection);
  if (flags.json)
    print_json(session.out, inspection_json(inspection));
  else
    print_inspection(inspection, session.out);
  for (const std::string& text : inspection_warnings(inspection)) console.warning(text);
}

}  // namespace

void add_inspect(CLI::App& root, Session& session) {
  const auto flags = std::make_shared<InspectFlags>();
  CLI::App* command =
      root.add_subcommand("inspect", "Show what adapters hold and how they relate, or what a base model is");
  command
      ->add_option("PATH", flags->paths, "adapters, folders or files (NAME=PATH names one), or folders of base models")
      ->required()
      ->type_name("");
  command->add_flag("--modules", flags->modules, "a row for every module (on for a single path)");
  command->add_flag("--headers", flags->headers, "read headers only: no norms, no similarities");
  command->add_option("--threads", flags->threads, "threads to use; default: all processors")->type_name("N");
  command->add_flag("--json", flags->json, "print all of it as JSON, described below");
  command->add_flag("-q,--quiet", flags->quiet, "no warnings");
  command->footer(
      "JSON: {adapters: [{name, path, base_model, format, type, variant, variants, parameters, dtype, norm,\n"
      "  modules: [{name, in, out, rank, scale, parameters, norm, effective_rank, singular_values}],\n"
      "  full_tensors: [{name, shape}], refusal, needs_base, search, warnings}],\n"
      "  pool: {modules, common_modules, compatible, cosine, gram, overlap, shared}, warnings}\n"
      "  cosine, gram: of the deltas over all modules; overlap: of column spaces, mean over shared modules;\n"
      "  shared: modules in common over modules in either; norms are Frobenius norms of deltas; search: of an adapter\n"
      "  that weft search found, as weft search --help says.\n"
      "JSON of base models: {models: [{path, family, architecture, kind, parameters, bytes, dtype, vocabulary, width,\n"
      "  layers, heads, kv_heads, head_dim, feed_forward, positions, positions_end, labels, end_tokens, tokenizer,\n"
      "  modules: [{name, shape, dtype}], warnings}]}\n"
      "  kind: causal, seq2seq or encoder; positions_end: nothing longer can be run; tokenizer: its file, or null;\n"
      "  shape, dtype: of the weight as stored, null for a tied one; warnings: also what is unsupported.\n\n"
      "Examples:\n  weft inspect zoo/reverse zoo/quote --json\n  weft inspect models/llama");
  command->callback([flags, &session] { run_inspect(*flags, session); });
}

}  // namespace weft::cli
