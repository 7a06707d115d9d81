#include "cli/composing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <algorithm>

#include "cli/console.h"
#include "cli/json_out.h"
#include "cli/numbers.h"
#include "cli/table.h"
#include "flow/dtype.h"
#include "flow/facts.h"
#include "weft/core/parallel.h"
#include "weft/recipe/recipe.h"

namespace weft::cli {

namespace {

Value report_json(const flow::ComposeReport& report, const flow::ComposeJob& job, bool dry) {
  Value plan = Value::make_map();
  plan.set("modules", Value::of_int(report.plan.modules));
  plan.set("seconds", json_number(report.plan.seconds));
  plan.set("memory_bytes", Value::of_int(report.plan.memory));
  Value out = Value::make_map();
  out.set("output", Value::text(report.output.string()));
  out.set("written", Value::of(!dry));
  out.set("method", Value::text(job.spec.method));
  out.set("adapters", json_texts(report.adapters));
  out.set("dtype", Value::text(report.dtype));
  out.set("output_bytes", Value::of_int(report.output_bytes));
  out.set("carried", Value::of(report.merge.carried));
  if (!dry) {
    out.set("norm", json_number(report.merge.norm));
    out.set("error", json_number(report.merge.error));
    out.set("modules", flow::module_facts(report.merge));
  }
  out.set("plan", std::move(plan));
  out.set("seconds", json_number(report.seconds));
  out.set("warnings", json_texts(report.warnings));
  return out;
}

std::string joined(const std::vector<std::string>& names) {
  constexpr size_t kMostNames = 8;
  const size_t shown = std::min(names.size(), kMostNames);
  std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  return names.size() > shown ? fmt::format("{} and {} more", text, names.size() - shown) : text;
}

std::string rank_range(const std::vector<merge::ModuleResult>& modules) {
  const auto by_rank = [](const auto& a, const auto& b) { return a.rank < b.rank; };
  const auto [low, high] = std::minmax_element(modules.begin(), modules.end(), by_rank);
  return low->rank == high->rank ? fmt::format("rank {}", low->rank)
                                 : fmt::format("rank {} to {}", low->rank, high->rank);
}

void print_report(const flow::ComposeReport& report, const flow::ComposeJob& job, std::ostream& out) {
  const auto& modules = report.merge.modules;
  out << fmt::format("wrote {}: {} of {}\n", report.output.string(), job.spec.method, joined(report.adapters));
  const std::string size =
      fmt::format("{}, {}, {}", report.dtype, format_size(static_cast<double>(report.output_bytes)),
                  format_seconds(report.seconds));
  if (report.merge.carried) {
    out << fmt::format("  carried over whole, {}\n", size);
    return;
  }
  if (modules.empty()) {
    out << fmt::format("  no low-rank modules, {}\n", size);
    return;
  }
  out << fmt::format("  {} modules, {}, {}\n", modules.size(), rank_range(modules), size);
  if (report.merge.error <= 0) {
    out << fmt::format("  norm {}, nothing truncated\n", format_number(report.merge.norm));
    return;
  }
  const auto by_error = [](const auto& a, const auto& b) { return a.error < b.error; };
  const auto& worst = *std::max_element(modules.begin(), modules.end(), by_error);
  out << fmt::format("  norm {}, relative truncation error {:.3g} (largest {:.3g} in {})\n",
                     format_number(report.merge.norm), report.merge.error, worst.error, printable(worst.name));
}

void print_rehearsal(const flow::ComposeReport& report, const flow::ComposeJob& job, std::ostream& out) {
  const auto& plan = report.plan;
  out << fmt::format("all checks passed, nothing written: {} of {}\n", job.spec.method, joined(report.adapters));
  if (!report.output.empty()) out << fmt::format("  would write {}\n", report.output.string());
  out << fmt::format("  {} modules, {}, about {}\n", plan.modules, report.dtype,
                     format_size(static_cast<double>(report.output_bytes)));
  out << fmt::format("  about {} and {} of memory\n", format_seconds(plan.seconds),
                     format_size(static_cast<double>(plan.memory)));
}

void apply_flags(const ComposeFlags& flags, flow::ComposeJob& job) {
  if (!flags.output.empty()) job.output = flags.output;
  if (!flags.dtype.empty()) {
    flow::dtype_called(flags.dtype, {"--dtype", 0, 0});
    job.dtype = flags.dtype;
  }
  if (flags.force) job.force = true;
}

}  // namespace

void add_compose_flags(CLI::App& command, ComposeFlags& flags) {
  command.add_option("-o,--output", flags.output, "folder to write; must not exist unless --force")->type_name("OUT");
  command
      .add_option("--dtype", flags.dtype, "float32, float16 or bfloat16; default: the inputs', float32 if they differ")
      ->type_name("DTYPE");
  command.add_flag("--force", flags.force, "replace OUT; the old one stays until the new one is whole");
  command.add_option("--memory", flags.memory, "bound on working memory; default: half of what is free")
      ->type_name("512MiB");
  command.add_option("--threads", flags.threads, "threads to use; default: all processors")->type_name("N");
  command.add_flag("--dry-run", flags.dry_run, "check everything and estimate, write nothing");
  command.add_flag("--print-recipe", flags.print_recipe,
                   "print the recipe that says the same, its paths relative to this folder, and stop");
  command.add_flag("--json", flags.json,
                   "print the report as JSON: {output, written, method, adapters, dtype, output_bytes,\n"
                   "carried, norm, error, modules: [{name, rank, norm, error}],\n"
                   "plan: {modules, seconds, memory_bytes}, seconds, warnings}");
  command.add_flag("-q,--quiet", flags.quiet, "no report, no progress, no warnings");
}

void run_job(flow::ComposeJob job, const ComposeFlags& flags, Session& session) {
  apply_flags(flags, job);
  if (flags.print_recipe) {
    session.out << recipe::to_yaml(flow::to_recipe(job));
    return;
  }
  Console console(session, flags.quiet);
  merge::RunOptions options;
  options.threads = thread_count(flags.threads);
  options.memory = memory_limit(flags.memory);
  options.log = &console;
  const flow::ComposeReport report = flags.dry_run ? flow::dry_run(job, options) : flow::compose(job, options);
  if (flags.json) {
    print_json(session.out, report_json(report, job, flags.dry_run));
  } else if (!flags.quiet) {
    flags.dry_run ? print_rehearsal(report, job, session.out) : print_report(report, job, session.out);
  }
}

}  // namespace weft::cli
