#pragma once

#include <filesystem>
#include <memory>

#include "io/bytes.h"
#include "io/tensor_file.h"

namespace weft::io {

/// A torch.save file over bytes at hand; `path` is for messages. Throws FormatError.
std::unique_ptr<TensorFile> read_torch_pickle(Bytes bytes, const std::filesystem::path& path);

}  // namespace weft::io
