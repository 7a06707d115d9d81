#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "data/formats/formats.h"

namespace weft::data {

/// Whether a text is one JSON document, rather than one JSON object per line: when it begins with a list, when its
/// first object goes on behind its line, or when it is a single object with `examples`, `Instances` or `Definition` and
/// no key of a record.
bool is_document(std::string_view text);

/// Hands every record of a document to `take`, with the formats that it may have. Fills in the document's own fields
/// first. @throws FormatError with `file:line:column`.
void read_document(std::string_view text, const std::string& file, Around& around,
                   const std::function<void(const Record&, const std::vector<Format>&)>& take);

}  // namespace weft::data
