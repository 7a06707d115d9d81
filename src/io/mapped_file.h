#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>

namespace weft::io {

/// A whole file mapped read-only. Shared, so tensors that view it keep it alive; safe to use from any thread.
class MappedFile {
 public:
  /// Throws InputError (missing, not a regular file, unreadable).
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }
  /// Gives the pages of [offset, offset + length) back to the system; they are read again when touched.
  void release(size_t offset, size_t length) const;

 private:
  MappedFile() = default;
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace weft::io
