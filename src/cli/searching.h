#pragma once

#include <string>

#include "cli/session.h"
#include "weft/flow/search.h"

namespace weft::cli {

/// Options of every command that searches.
struct SearchingFlags {
  std::string output, dtype, rank, threads;
  bool force = false, print_recipe = false, json = false, quiet = false;
};

/// Adds `-o`, `--dtype`, `--rank`, `--force`, `--threads`, `--print-recipe`, `--json` and `-q` to a command.
void add_searching_flags(CLI::App& command, SearchingFlags& flags);
/// Searches and reports. Under a launcher only rank 0 prints.
void run_searching(flow::SearchJob job, const SearchingFlags& flags, Session& session);
/// Runs a recipe with `search:` or `method: search | lorahub`.
void run_search_recipe(const std::string& recipe, const SearchingFlags& flags, Session& session);

}  // namespace weft::cli
