#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "weft/core/value.h"

namespace weft::io {

/**
 * JSON text into Values: key order kept, places filled in, duplicate keys refused, depth limited to 200, invalid UTF-8
 * refused. Strings arrive quoted; numbers, true and false unquoted with their spelling. Python's NaN/Infinity are
 * refused. Throws FormatError with `file:line:column`. A UTF-8 byte order mark is skipped.
 */
Value parse_json(std::string_view text, const std::string& file);
/// Reads and parses; throws InputError when missing or larger than `limit` bytes, FormatError when malformed.
Value read_json(const std::filesystem::path& path, size_t limit = size_t{256} << 20);
/// JSON text; quoted scalars become strings, the others stand as spelled. indent < 0: one line. Ends without newline.
std::string to_json(const Value& value, int indent = 2);

}  // namespace weft::io
