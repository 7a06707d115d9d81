#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/tensor_file.h"

namespace weft::io {

/// `model.layers.0.q` and `layers.0.q` are the same weight: the name without the prefixes that checkpoints and models
/// usually have (`model.`, `transformer.`, `bert.`, …).
std::string_view without_model_prefixes(std::string_view name);

/// A tensor of a checkpoint and the file it is in.
struct CheckpointTensor {
  const TensorFile* file = nullptr;
  const TensorEntry* entry = nullptr;

  bool present() const { return entry != nullptr; }
};

/// The tensor files of a model as Hugging Face's libraries write them, opened by reading headers only. Thread-safe.
class Checkpoint {
 public:
  /**
   * Opens a folder (`model.safetensors`, `diffusion_pytorch_model.safetensors`, `pytorch_model.bin`, one file or shards
   * with an `.index.json`) or one such file.
   * @throws InputError / FormatError when there are no weights or an index names what is not there.
   */
  static Checkpoint open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  /// All tensors by name.
  const std::map<std::string, CheckpointTensor, std::less<>>& tensors() const { return by_name_; }
  /// The tensor called `name`, else the only one that is called so apart from prefixes. Not present: `why` says what is
  /// wrong, with the nearest name.
  CheckpointTensor find(std::string_view name, std::string& why) const;

 private:
  std::filesystem::path path_;
  std::vector<std::unique_ptr<TensorFile>> files_;
  std::map<std::string, CheckpointTensor, std::less<>> by_name_;
  std::multimap<std::string, CheckpointTensor, std::less<>> by_core_;
};

}  // namespace weft::io
