#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/core/error.h"
#include "weft/core/log.h"
#include "weft/core/value.h"
#include "weft/data/examples.h"
#include "weft/train/train.h"

namespace weft::flow {

/// Everything a training needs: what a recipe, the command line or a C++ program says.
struct TrainRun {
  std::filesystem::path base = {};                ///< a checkpoint folder with a tokenizer
  std::filesystem::path data = {};                ///< the examples
  std::filesystem::path validation = {};          ///< more of them, to choose the best weights by; empty: none
  data::Template form = {};                       ///< how both are read
  std::vector<adapter::Pool::Source> start = {};  ///< adapters whose sum the training starts from; none: from zero
  std::vector<double> start_weights = {};         ///< one per adapter; empty: 1 each
  train::TrainOptions options = {};
  std::filesystem::path output = {};
  std::string dtype = "float32";  ///< of what is written
  bool force = false;             ///< replace an existing output
  int threads = 0;                ///< of libtorch, set for the whole process; 0: every processor
};

/**
 * A run from a recipe: `base_model`, `examples: {data, prompt, completion, text}`, `validation: FILE`, `adapters` (what
 * to start from), `train` (the options), `output: {path, dtype, force}`. Relative paths are relative to the recipe.
 * @throws RecipeError with file, line, column and the nearest valid key.
 */
WEFT_API TrainRun load_train_recipe(const std::filesystem::path& path);
/// The run as a recipe that load_train_recipe() reads back to the same run, given a path that resolves the same.
WEFT_API Value to_recipe(const TrainRun& run);
/// Opens everything, trains, writes. Several adapters to start from are merged to the rank of the training first.
/// @throws as train::train() and open_runtime().
WEFT_API train::TrainReport train(const TrainRun& run, Log& log = silent_log());

}  // namespace weft::flow
