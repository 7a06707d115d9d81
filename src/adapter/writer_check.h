#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "weft/adapter/adapter.h"

namespace weft::adapter {

/// What was handed to the file under one key.
struct WrittenTensor {
  c10::ScalarType dtype = c10::ScalarType::Float;
  std::vector<std::int64_t> shape;
  std::uint64_t checksum = 0;
};

/// What was written of one module.
struct WrittenModule {
  ModuleInfo info;  ///< as given
  std::int64_t rank = 0;
  bool has_bias = false;
};

/// Describes a contiguous CPU tensor.
WrittenTensor describe_written(const Tensor& tensor);

/// Reads every tensor of `file` back and compares it with `expected`; leaves no pages resident. @throws Error naming
/// the first difference.
void check_tensors(const std::filesystem::path& file, const std::map<std::string, WrittenTensor>& expected);

/// Opens the adapter in `folder` and compares its modules, shapes, ranks and scales (1) with `expected`. @throws Error.
void check_modules(const std::filesystem::path& folder, const std::vector<WrittenModule>& expected);

/// The same against the adapter that was carried over whole.
void check_carried(const std::filesystem::path& folder, const Adapter& source);

}  // namespace weft::adapter
