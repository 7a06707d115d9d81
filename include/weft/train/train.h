#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "weft/adapter/adapter.h"
#include "weft/core/error.h"
#include "weft/core/log.h"
#include "weft/core/value.h"
#include "weft/data/examples.h"
#include "weft/model/model.h"
#include "weft/text/tokenizer.h"
#include "weft/train/options.h"

namespace weft::train {

/// Everything a training needs.
struct TrainJob {
  data::Examples examples;
  std::optional<data::Examples> validation;  ///< the weights with the lowest loss on it are kept
  TrainOptions options;
  std::filesystem::path output;           ///< folder of the adapter, or of the checkpoint with all_weights
  std::string dtype = "float32";          ///< of what is written: `float32`, `bfloat16`, `float16`
  bool force = false;                     ///< replace an existing output
  std::optional<adapter::Adapter> start;  ///< an adapter whose factors are the first weights; nothing: fresh ones
  Value initial;                          ///< what `start` was made of, for weft.json; null: its name
};

/// One point of the curve.
struct TrainPoint {
  std::int64_t step = 0;  ///< updates done
  double loss = 0.0;      ///< mean over what was scored in the update, before it
  double rate = 0.0;      ///< learning rate of the update
  double norm = 0.0;      ///< of the gradient, before clipping
};

/// A validation.
struct TrainCheck {
  std::int64_t step = 0;
  double loss = 0.0;  ///< over the whole validation set
};

/// What a training did.
struct TrainReport {
  std::vector<TrainPoint> points;  ///< every update
  std::vector<TrainCheck> checks;
  std::int64_t best_step = 0;     ///< whose weights were written
  std::int64_t resumed_from = 0;  ///< updates that a checkpoint had done already
  std::int64_t parameters = 0;    ///< trained numbers
  std::int64_t tokens = 0;        ///< run forward and backward, in this process
  double seconds = 0.0;           ///< of this process
  bool stopped_early = false;
};

/**
 * Trains an adapter, or all weights, and writes it. Causal and seq2seq models learn texts and completions by cross
 * entropy, models with a classification head their labels, encoders without one by label similarity (the cosine of text
 * and label embeddings over a temperature, through the adapted encoder on both sides).
 *
 * While it runs, `OUT.training` beside the output holds the last checkpoint; a run with the same job finds it and goes
 * on to the same bytes as if it had not been stopped. It is removed when the output is in place.
 * @throws UsageError: options that contradict each other or that this training would ignore, an output that exists,
 * that cannot be replaced or that would replace an input, all before the first update; InputError / FormatError with
 *         `file:line`: examples that do not fit the model, a single class, nothing to score, a checkpoint of another
 *         job; Error: a loss or gradient that is not finite (the last good checkpoint stays), a full disk.
 */
WEFT_API TrainReport train(const model::BaseModel& model, const text::Tokenizer& tokenizer, const TrainJob& job,
                           Log& log = silent_log());

}  // namespace weft::train
