#pragma once

#include <string>
#include <vector>

#include "cli/session.h"
#include "weft/flow/runtime.h"

namespace weft::cli {

/// Options of every command that runs a base model.
struct RuntimeFlags {
  std::string base, weights, dtype, device = "cpu", threads;
  std::vector<std::string> adapters;
  bool weights_given = false;  ///< tells `--weights ''` from no weights
};

/// Adds `--base`, `--adapter`, `--weights`, `--dtype`, `--device` and `--threads` to a command.
void add_runtime_flags(CLI::App& command, RuntimeFlags& flags);
/// What they say. @throws UsageError.
flow::RuntimeOptions runtime_options(const RuntimeFlags& flags);

}  // namespace weft::cli
