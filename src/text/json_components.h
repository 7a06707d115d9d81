#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "text/pipeline.h"
#include "weft/core/value.h"

namespace weft::text {

// The components of tokenizer.json, sequences flattened; null means none. `file` names the tokenizer in messages.
// All throw FormatError when an option is missing or malformed and UnsupportedError for what is not known.

void read_normalizers(const Value& json, const std::string& file, std::vector<std::unique_ptr<const Normalizer>>& out);
void read_pre_tokenizers(const Value& json, const std::string& file,
                         std::vector<std::unique_ptr<const PreTokenizer>>& out);
void read_decoders(const Value& json, const std::string& file, std::vector<std::unique_ptr<const Decoder>>& out);
/// What a post-processor puts before and after a single text.
void read_post_processor(const Value& json, const std::string& file, std::vector<std::int64_t>& before,
                         std::vector<std::int64_t>& after);

}  // namespace weft::text
