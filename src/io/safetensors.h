#pragma once

#include <filesystem>
#include <memory>

#include "io/bytes.h"
#include "io/tensor_file.h"

namespace weft::io {

/// Headers larger than this are refused, as the reference implementation does.
inline constexpr std::uint64_t kMaxHeader = 100'000'000;

/// safetensors over bytes at hand; `path` is for messages. Throws FormatError.
std::unique_ptr<TensorFile> read_safetensors(Bytes bytes, const std::filesystem::path& path);

/// The format's name of a dtype (`BF16`), or an empty string when it has none.
std::string safetensors_dtype(c10::ScalarType dtype);

}  // namespace weft::io
