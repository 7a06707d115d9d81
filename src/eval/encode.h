#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "eval/token_store.h"
#include "weft/core/log.h"
#include "weft/data/examples.h"
#include "weft/eval/evaluate.h"
#include "weft/model/model.h"
#include "weft/text/tokenizer.h"

namespace weft::eval {

/// What runs through the model as one sequence: an example, or one choice of it.
struct Unit {
  size_t example = 0;
  size_t choice = 0;  ///< 0 when there are none
};

/// Examples as a model takes them, checked.
struct Encoded {
  std::vector<Unit> units;            ///< of example 0, of example 1, …
  TokenStore inputs;                  ///< what the model reads; of a causal model prompt and completion
  TokenStore targets;                 ///< seq2seq: what the decoder is scored on
  std::vector<std::int64_t> lengths;  ///< tokens that a unit runs through the model
  std::vector<std::int32_t> scored;   ///< causal: index of the first scored id; labels: index of the label
};

/**
 * Tokenises all examples for a model that predicts tokens or has a classification head. `all_choices`: not the right
 * one alone. Of `options`: append_end and threads.
 * @throws FormatError with `file:line` when there is nothing to read or to score, or a label that the model does not
 *         have; InputError when the examples do not suit the model, with `file:line` when one is longer than learned
 *         positions. Examples longer than other positions: a warning.
 */
Encoded encode(const data::Examples& examples, const model::ModelInfo& info, const text::Tokenizer& tokenizer,
               bool all_choices, const EvalOptions& options, Log& log);

/// The index of an example's label among `labels`. @throws FormatError with `file:line` when it is none of `owner`'s.
size_t find_label(const data::Examples& examples, size_t index, const std::vector<std::string>& labels,
                  const std::string& owner);

}  // namespace weft::eval
