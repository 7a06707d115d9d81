#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>

#include "io/bytes.h"

namespace weft::io {

/// Where a stored entry's bytes lie in the archive.
struct ZipEntry {
  size_t offset = 0, size = 0;
};

/**
 * The central directory of a zip file, as torch.save writes it: entries stored, never compressed; zip64 where needed.
 * Every offset and size is checked against the file. Throws FormatError; a compressed or encrypted entry is an error
 * that names it.
 */
class ZipArchive {
 public:
  ZipArchive(const Bytes& bytes, const std::string& file);
  /// The entry of this full name, or nullptr.
  const ZipEntry* find(const std::string& name) const;
  /// `<name>/` of the entry `<name>/data.pkl`; throws FormatError when there is none.
  const std::string& prefix() const { return prefix_; }

 private:
  struct Directory;
  Directory directory(const Bytes& bytes) const;
  Directory directory64(const Bytes& bytes, size_t end_record) const;
  size_t read_entry(const Bytes& bytes, size_t at, size_t directory_start);
  [[noreturn]] void fail(const std::string& what) const;

  std::string file_, prefix_;
  std::unordered_map<std::string, ZipEntry> entries_;
};

}  // namespace weft::io
