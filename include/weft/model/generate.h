#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/core/error.h"
#include "weft/core/log.h"
#include "weft/model/model.h"
#include "weft/text/tokenizer.h"

namespace weft::model {

/**
 * How text is generated. The order is transformers': repetition penalty, then, unless greedy, temperature, top_k, top_p
 * and a draw. The penalty is applied in float32, probabilities are float64.
 */
struct WEFT_API GenerateOptions {
  std::int64_t max_new_tokens = 64;  ///< per sequence, at least 1
  /// Divides the logits, at least 0. 0 (the default): greedy, the most probable token, of equals the lowest id; top_k,
  /// top_p and seed then change nothing.
  double temperature = 0.0;
  /// Draws from the k most probable tokens, and those as probable as the k-th; 0: from all.
  std::int64_t top_k = 0;
  /// Draws from the most probable tokens that together reach this probability, in (0, 1], at least one token; of equals
  /// at the end the lowest ids. 1: from all.
  double top_p = 1.0;
  /// Above 0. Positive logits of tokens that occur in prompt or output (seq2seq: in the output) are divided by it,
  /// negative ones multiplied. 1: none.
  double repetition_penalty = 1.0;
  /// A sequence stops as soon as its new text holds one of these; UTF-8, not empty. They need a tokenizer.
  std::vector<std::string> stop;
  /// Tokens that end a sequence; nothing: the model's own (ModelInfo::end_tokens); an empty list: none.
  std::optional<std::vector<std::int64_t>> end_tokens;
  /// Draws depend on the seed, the sequence's number and the step alone: the same in any batch.
  std::uint64_t seed = 0;
  /// Number of the first prompt, for lists that are generated in parts.
  std::uint64_t first_sequence = 0;
  /// Sequences that run together at most, at least 1. Bounds the memory of cached keys and values.
  std::int64_t batch = 16;
  /// The file that the prompts are the lines of, for messages. Empty: prompts are counted from 1.
  std::string source;
};

/// Why a sequence ended.
enum class Stop {
  kEnd,     ///< an end token
  kLength,  ///< max_new_tokens
  kString   ///< a stop string
};

/// `end`, `length`, `stop`.
WEFT_API std::string_view stop_name(Stop stop);

/// What became of one prompt.
struct WEFT_API Generation {
  std::vector<std::int64_t> prompt_ids;  ///< with the special tokens that the tokenizer adds
  std::vector<std::int64_t> ids;         ///< new ones only, an end token included
  /// What the new ids add to the prompt's text: without special tokens, and without a stop string and what follows it.
  std::string text;
  Stop stop = Stop::kLength;
};

/// Gets text of sequence `index` as soon as nothing can change it any more. The pieces of a sequence join to
/// Generation::text. Called from the calling thread; may throw to give up.
using OnText = std::function<void(size_t index, std::string_view text)>;

/**
 * Continues prompts. Prompts of any lengths run together, none depends on its neighbours; the results are in the order
 * of the prompts. A seq2seq model encodes the prompt and generates from its start token. `composition.mix` has one row,
 * or one per prompt.
 * @throws UsageError: options out of range, encoder models, an empty prompt where the tokenizer adds no start token, a
 *         mix with rows per token; InputError: text that is not UTF-8, prompt and new tokens beyond learned positions,
 *         ids beyond the vocabulary, non-finite logits. Rotary models run beyond their positions with a warning.
 */
WEFT_API std::vector<Generation> generate(const BaseModel& model, const text::Tokenizer& tokenizer,
                                          std::span<const std::string> prompts, const GenerateOptions& options = {},
                                          const Composition& composition = {}, const OnText& on_text = {},
                                          Log& log = silent_log());

/// The same on ids, without any text: stop strings are refused, texts stay empty.
WEFT_API std::vector<Generation> generate(const BaseModel& model, const std::vector<std::vector<std::int64_t>>& prompts,
                                          const GenerateOptions& options = {}, const Composition& composition = {},
                                          Log& log = silent_log());

}  // namespace weft::model
