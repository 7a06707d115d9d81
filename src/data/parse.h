#pragma once

#include <filesystem>
#include <string_view>

#include "data/labels.h"
#include "weft/data/examples.h"

namespace weft::data {

/// As read_examples, of a text without byte order mark; `file` names it in messages.
Examples parse_examples(std::string_view text, const std::filesystem::path& file, const ReadOptions& options,
                        LabelNames labels);

}  // namespace weft::data
