#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weft/core/tensor.h"

namespace weft::io {

/// A named tensor of a file, known from its header alone.
struct TensorEntry {
  std::string name;
  c10::ScalarType dtype = c10::ScalarType::Float;
  std::vector<std::int64_t> shape;
  std::int64_t numel() const;
};

/// A file of named tensors, opened by reading headers only; thread-safe after opening.
class TensorFile {
 public:
  virtual ~TensorFile() = default;
  /// In file order.
  const std::vector<TensorEntry>& entries() const { return entries_; }
  /// The entry called `name`, or nullptr. O(log n).
  const TensorEntry* find(const std::string& name) const;
  /// The tensor as stored, contiguous; a view of the mapped file where alignment allows. Throws InputError if unknown.
  virtual Tensor load(const std::string& name) const = 0;
  /// Hands the pages behind `name` back to the system (a hint).
  virtual void release(const std::string& name) const = 0;
  /// Free-form string pairs of the header (safetensors' `__metadata__`), file order.
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return path_; }

 protected:
  void index();  ///< call once entries_ is filled; throws FormatError on a duplicate name
  std::filesystem::path path_;
  std::vector<TensorEntry> entries_;
  std::vector<std::pair<std::string, std::string>> metadata_;

 private:
  std::vector<std::pair<std::string, size_t>> by_name_;  // sorted
};

/**
 * safetensors: `u64 header length, JSON header, data`. Every size, offset, dtype and shape is checked against the file
 * before anything is believed: overlapping or gapped ranges, overflow, duplicate keys, oversized headers (100 MB) are
 * FormatErrors.
 */
std::unique_ptr<TensorFile> open_safetensors(const std::filesystem::path& path);

/**
 * torch.save files: zip archives with a pickle (old `archive/data.pkl` and new), and the legacy stream from before
 * torch 1.6. Only tensors (also views of larger storages: offset, strides), dict, OrderedDict, list, tuple, str,
 * numbers are decoded; any other global is a FormatError that names it. Nothing is ever executed. Nested containers get
 * names joined by '.', list items their index.
 */
std::unique_ptr<TensorFile> open_torch_pickle(const std::filesystem::path& path);

/// One of the above by content (magic bytes), not by extension. Throws FormatError if it is neither.
std::unique_ptr<TensorFile> open_tensor_file(const std::filesystem::path& path);

/// `float32`, `bfloat16`, … for messages and options.
std::string dtype_name(c10::ScalarType dtype);

}  // namespace weft::io
