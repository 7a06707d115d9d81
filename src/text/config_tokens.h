#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/config_files.h"

namespace weft::text {

/// The vocabulary that added tokens join.
struct KnownTokens {
  std::function<std::optional<std::int64_t>(std::string_view)> id;
  std::function<std::optional<std::string_view>(std::int64_t)> token;
  std::int64_t size = 0;  ///< one more than its largest id
};

/**
 * The added tokens of a folder without tokenizer.json: `added_tokens_decoder` of tokenizer_config.json, else
 * added_tokens.json; then the special tokens by role (special_tokens_map.json too), and `more` (special as well).
 * Tokens without an id have that of the vocabulary, else the next free one. In order of ids.
 * @throws FormatError when an id or a text is taken.
 */
std::vector<AddedToken> config_added_tokens(const ConfigFiles& config, const std::filesystem::path& folder,
                                            const std::vector<std::string>& more, const KnownTokens& known);

}  // namespace weft::text
