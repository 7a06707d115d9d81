#pragma once

#include <cstdint>
#include <vector>

#include "eval/token_store.h"
#include "weft/core/log.h"
#include "weft/data/examples.h"
#include "weft/model/model.h"
#include "weft/text/tokenizer.h"

namespace weft::eval {

/// Examples as a model takes them, checked.
struct Encoded {
  TokenStore inputs;                  ///< what the model reads; of a causal model prompt and completion
  TokenStore targets;                 ///< seq2seq: what the decoder is scored on
  std::vector<std::int64_t> lengths;  ///< tokens that an example runs through the model
  std::vector<std::int32_t> scored;   ///< causal: index of the first scored id; labels: index of the label
};

/**
 * Tokenises all examples.
 * @throws FormatError with `file:line` when there is nothing to read or to score, or a label that the model does not
 *         have; InputError when the examples do not suit the model, with `file:line` when one is longer than learned
 *         positions. Examples longer than other positions: a warning.
 */
Encoded encode(const data::Examples& examples, const model::ModelInfo& info, const text::Tokenizer& tokenizer,
               int threads, Log& log);

}  // namespace weft::eval
