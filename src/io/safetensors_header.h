#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::io {

/// One tensor of a safetensors header, syntax checked, meaning not yet.
struct HeaderTensor {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0, end = 0;  ///< bytes in the data section
};

struct Header {
  std::vector<HeaderTensor> tensors;  ///< header order
  std::vector<std::pair<std::string, std::string>> metadata;
};

/**
 * The JSON header of a safetensors file. A scanner of its own, since a pool of a thousand adapters is a million little
 * JSON values: some 20 times faster than a general parser into Values. Strict: unknown, missing or duplicate keys in a
 * tensor's entry, negative or fractional numbers, invalid UTF-8 and anything after the object but blanks are
 * FormatErrors that name the byte of the header.
 */
Header scan_header(std::string_view text, const std::string& file);

}  // namespace weft::io
