#pragma once

#include <filesystem>
#include <string>

#include "weft/core/error.h"
#include "weft/core/log.h"
#include "weft/data/examples.h"
#include "weft/eval/evaluate.h"
#include "weft/flow/runtime.h"

namespace weft::flow {

/// An evaluation, described. Paths are resolved.
struct EvaluateJob {
  RuntimeOptions runtime = {};      ///< base model, adapters and weights
  std::filesystem::path data = {};  ///< a file of examples
  data::ReadOptions reading = {};   ///< how it is read
  eval::EvalOptions options = {};   ///< `threads` and `log` are set by run_evaluation()
};

/**
 * Reads a recipe with `base_model`, `adapters` (as in other recipes; of `parameters` only `weight`), `examples`
 * (`data`, and the templates `prompt`, `completion`, `text`) and `eval` (the options of eval::options()). Everything
 * may be missing and set later; relative paths are relative to the recipe. No other file is opened.
 * @throws RecipeError at the place of a mistake: unknown keys with the nearest known one, wrong types and ranges;
 *         InputError when the recipe cannot be read.
 */
WEFT_API EvaluateJob load_evaluate_recipe(const std::filesystem::path& path);

/// What was evaluated and what came out, example by example in the same order.
struct Evaluation {
  data::Examples examples;
  eval::Report report;
};

/**
 * Runs a job. Metrics and examples are checked before the model is opened.
 * @throws UsageError: no base model, no data, and what eval::evaluate() refuses; InputError: whatever is missing,
 *         malformed or does not fit.
 */
WEFT_API Evaluation run_evaluation(const EvaluateJob& job, Log& log = silent_log());

}  // namespace weft::flow
