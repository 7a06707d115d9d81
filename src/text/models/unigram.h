#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/engine.h"

namespace weft::text {

/// `model` of type Unigram: ids are places in `vocab`, scores are log probabilities. `file` names the tokenizer in
/// messages. @throws FormatError for an unknown id outside the vocabulary, an empty vocabulary or non-finite scores.
std::unique_ptr<const Model> make_unigram(std::vector<std::pair<std::string, double>> vocab,
                                          std::optional<std::int64_t> unk_id, bool byte_fallback,
                                          const std::string& file);

}  // namespace weft::text
