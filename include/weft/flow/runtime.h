#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/core/error.h"
#include "weft/core/log.h"
#include "weft/model/model.h"
#include "weft/text/tokenizer.h"

namespace weft::flow {

/// What commands that run a base model are told about it.
struct RuntimeOptions {
  std::filesystem::path base = {};                   ///< a checkpoint folder with a tokenizer
  std::vector<adapter::Pool::Source> adapters = {};  ///< paths and names; none: the base alone
  std::vector<double> weights = {};                  ///< one per adapter; empty: 1 each
  std::string dtype = {};                            ///< `float32`, `bfloat16`, `float16`; empty: as stored
  std::string device = "cpu";                        ///< `cpu`, `cuda`, `cuda:1`
  int threads = 0;  ///< of libtorch, set for the whole process; 0: every processor this process may run on
};

/// A base model with its tokenizer and what is attached to it.
struct Runtime {
  model::BaseModel model;
  text::Tokenizer tokenizer;
  model::Composition composition;
};

/**
 * Opens a base model, its tokenizer and the adapters, checks that they fit together, and stacks the adapters. Options
 * are checked before any file is opened; warnings of the model and the pool go to `log`.
 * @throws UsageError: a wrong dtype, device or number of weights, a weight that is not finite; InputError: whatever is
 *         missing, malformed or does not fit.
 */
WEFT_API Runtime open_runtime(const RuntimeOptions& options, Log& log = silent_log());

/// The adapters summed with their weights (1 each when there are none), for `model`. @throws as open_runtime().
WEFT_API model::Composition attach_adapters(const model::BaseModel& model,
                                            const std::vector<adapter::Pool::Source>& adapters,
                                            const std::vector<double>& weights, Log& log = silent_log());

/// @throws InputError when the tokenizer has more tokens than the model's vocabulary.
WEFT_API void check_tokenizer_fits(const text::Tokenizer& tokenizer, const model::ModelInfo& info);

}  // namespace weft::flow
