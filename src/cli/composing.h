#pragma once

#include <string>

#include "cli/session.h"
#include "weft/flow/compose.h"

namespace weft::cli {

/// Options that `merge` and `compose` share.
struct ComposeFlags {
  std::string output, dtype, memory, threads;
  bool force = false, dry_run = false, print_recipe = false, json = false, quiet = false;
};

/// Adds them to a command.
void add_compose_flags(CLI::App& command, ComposeFlags& flags);
/// Lets the flags speak over the job, then prints the recipe, rehearses or composes, and reports.
void run_job(flow::ComposeJob job, const ComposeFlags& flags, Session& session);

}  // namespace weft::cli
