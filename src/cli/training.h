#pragma once

#include <string>

#include "cli/session.h"
#include "weft/flow/train.h"

namespace weft::cli {

/// Options of every command that trains.
struct TrainingFlags {
  std::string output, dtype, threads;
  bool force = false, print_recipe = false, json = false, quiet = false;
};

/// Adds `-o`, `--dtype`, `--force`, `--threads`, `--print-recipe`, `--json` and `-q` to a command.
void add_training_flags(CLI::App& command, TrainingFlags& flags);
/// Trains and reports.
void run_training(flow::TrainRun run, const TrainingFlags& flags, Session& session);

}  // namespace weft::cli
