#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "weft/core/value.h"

namespace weft::text {

/// What tokenizer_config.json and special_tokens_map.json beside a tokenizer say (the former wins).
struct ConfigFiles {
  std::optional<std::string> bos, eos, pad, unk;  ///< token texts
  std::optional<bool> add_bos, add_eos;           ///< count only without tokenizer.json
  std::string tokenizer_class;                    ///< or empty
  Value config;                                   ///< the whole tokenizer_config.json, null when there is none
};

/// @throws FormatError when one of the files is malformed.
ConfigFiles read_config_files(const std::filesystem::path& folder);

}  // namespace weft::text
