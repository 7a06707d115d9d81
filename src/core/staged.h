#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "weft/core/error.h"

namespace weft {

/**
 * A folder that appears whole or not at all. Files are written into a hidden sibling of `destination` (same file
 * system); commit() renames it into place. Without commit, or when the process dies, the destination is untouched;
 * leftovers of dead processes (recognised by their process id) are cleared by the next run.
 */
class StagedFolder {
 public:
  /// UsageError if `destination` exists and not `force` (or is a non-folder, or a non-empty folder that is not
  /// something Weft or PEFT wrote, even with force); Error if its parent cannot be made or written.
  StagedFolder(const std::filesystem::path& destination, bool force);
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;
  /// Where to write.
  const std::filesystem::path& path() const { return staging_; }
  /// Syncs and swaps into place in one step (renameat2 RENAME_EXCHANGE when replacing, so that the old one is there
  /// until the new one is).
  void commit();

 private:
  void place();
  void discard() noexcept;
  std::filesystem::path destination_, staging_;
  std::vector<std::filesystem::path> made_;  // parents that did not exist before, innermost first
  bool force_;
  bool committed_ = false;
};

/// The same for a single file, which appears whole or not at all.
class StagedFile {
 public:
  /// UsageError if `destination` exists and not `force`, or is no regular file; Error if its parent cannot be made or
  /// written.
  StagedFile(const std::filesystem::path& destination, bool force);
  ~StagedFile();
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;
  /// Where to write: an empty file, until the caller fills it.
  const std::filesystem::path& path() const { return staging_; }
  /// Syncs and renames into place in one step.
  void commit();

 private:
  void discard() noexcept;
  std::filesystem::path destination_, staging_;
  std::vector<std::filesystem::path> made_;  // parents that did not exist before, innermost first
  bool force_;
  bool committed_ = false;
};

/// Writes a whole file in place (inside a staged folder); Error with path and system reason on failure.
void write_file(const std::filesystem::path& path, std::string_view text);
/// Reads a whole file; InputError when missing, not regular, or larger than `limit`.
std::string read_file(const std::filesystem::path& path, size_t limit);

}  // namespace weft
