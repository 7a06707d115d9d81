#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "weft/core/error.h"
#include "weft/core/log.h"
#include "weft/core/tensor.h"
#include "weft/model/model.h"
#include "weft/text/tokenizer.h"

namespace weft::eval {

/// How texts are embedded.
struct EmbedOptions {
  std::string source = {};           ///< the file that the texts are lines of, for messages
  std::int64_t max_tokens = 0;       ///< longer texts are cut, special tokens at the end kept; 0: never
  std::int64_t batch_tokens = 2048;  ///< tokens that run together at most; a longer text runs alone
  int threads = 0;                   ///< for tokenising; 0: all. Forward passes use libtorch's own
  Log* log = nullptr;                ///< nullptr: silent
};

/**
 * Sentence embeddings, float32 [texts, width] on the CPU: mean of the last states over all tokens, special ones
 * included, normalised to length 1. Rows are in the order of the texts. `composition.mix` has one row.
 * @throws UsageError: options out of range, a mix with several rows; InputError: the model is no encoder; with
 *         `file:line`: a text without tokens, one longer than learned positions, outputs that are not finite.
 */
WEFT_API Tensor embed(const model::BaseModel& model, const text::Tokenizer& tokenizer,
                      std::span<const std::string> texts, const model::Composition& composition = {},
                      const EmbedOptions& options = {});

/// The `max_seq_length` of the folder's `sentence_bert_config.json`; 0 when there is none.
/// @throws FormatError when the file is malformed.
WEFT_API std::int64_t max_sequence_length(const std::filesystem::path& folder);

}  // namespace weft::eval
