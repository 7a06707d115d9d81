#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/engine.h"
#include "text/token_table.h"

namespace weft::text {

/// `model` of type BPE; names and options are those of tokenizer.json.
struct BpeOptions {
  TokenTable vocab;
  /// Pairs of tokens, best first, as ids: see merge_ids().
  std::vector<std::pair<std::int32_t, std::int32_t>> merges;
  std::optional<std::string> unk_token;
  std::string continuing_subword_prefix;
  std::string end_of_word_suffix;
  bool fuse_unk = false;
  bool byte_fallback = false;
  bool ignore_merges = false;
};

/// The ids of a merge "left right". @throws FormatError when a token is not in the vocabulary.
std::pair<std::int32_t, std::int32_t> merge_ids(const TokenTable& vocab, std::string_view left, std::string_view right,
                                                const std::string& file);

/// `file` names the tokenizer in messages. @throws FormatError when a merge's result is not in the vocabulary.
std::unique_ptr<const Model> make_bpe(BpeOptions options, const std::string& file);

}  // namespace weft::text
