#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/merge/merge.h"
#include "weft/merge/spec.h"

namespace weft::flow {

/// Everything a static composition needs: what a recipe, the command line or a C++ program says.
struct ComposeJob {
  std::string base_model;                       ///< optional; needed by DoRA and mutating inits
  std::vector<adapter::Pool::Source> adapters;  ///< paths (already resolved against the recipe) and names
  merge::MergeSpec spec;
  std::filesystem::path output;
  std::string dtype;  ///< empty: the inputs', float32 when they differ
  bool force = false;
  std::string recipe;                 ///< the recipe's path, if any; only for messages
  Value record = {};                  ///< a map whose entries are added to `weft.json`; null: none
  std::vector<std::string> warnings;  ///< remarks from reading the recipe; compose() reports them with its own
};

/// What came of it.
struct ComposeReport {
  merge::MergeReport merge;
  merge::MergePlan plan;
  std::filesystem::path output;
  std::string dtype;
  std::int64_t output_bytes = 0;
  double seconds = 0.0;
  std::vector<std::string> adapters;  ///< names
  std::vector<std::string> warnings;  ///< all of them, once each
};

/**
 * A job from a recipe file; relative paths are relative to the recipe. Accepts `adapters:` (Weft) and `models:` /
 * `merge_method:` (mergekit's spelling). @throws RecipeError with file, line, column and the nearest valid key.
 */
WEFT_API ComposeJob load_recipe(const std::filesystem::path& path);
/// The job as a recipe that load_recipe reads back to the same job.
WEFT_API Value to_recipe(const ComposeJob& job);
/// Checks everything, writes nothing.
WEFT_API ComposeReport dry_run(const ComposeJob& job, const merge::RunOptions& options = {});
/// Opens the pool, merges, writes the adapter. @throws weft::Error; nothing partial is left.
WEFT_API ComposeReport compose(const ComposeJob& job, const merge::RunOptions& options = {});

}  // namespace weft::flow
