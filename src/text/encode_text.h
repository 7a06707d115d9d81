#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "weft/text/tokenizer.h"

namespace weft::text {

/// The ids of a text, and how many there were before it was cut.
struct EncodedText {
  std::vector<std::int64_t> ids;
  std::int64_t whole = 0;  ///< more than `ids` holds: the text was cut
};

/**
 * `whole` (the ids of `text` with special tokens) cut to `max_tokens`: the special tokens in front and behind stay, and
 * as much of the text as fits between them. 0: never cut.
 */
std::vector<std::int64_t> cut_ids(const Tokenizer& tokenizer, std::string_view text,
                                  const std::vector<std::int64_t>& whole, std::int64_t max_tokens);

/// The ids of a text with special tokens, cut to `max_tokens` (0: never). @throws InputError on text that is not UTF-8.
EncodedText encode_text(const Tokenizer& tokenizer, std::string_view text, std::int64_t max_tokens);

}  // namespace weft::text
