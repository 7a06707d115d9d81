#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "weft/search/optimizer.h"

namespace weft::flow {

/// What evaluating a point gave, regularisers apart.
struct Answer {
  double score = 0.0;              ///< NaN: outputs were not finite
  std::optional<double> held_out;  ///< the same on the held-out examples
  search::Point gradient;          ///< by coordinate, when it was asked for
  bool dropped = false;            ///< in a race: `score` is a guess from the first examples

  /// One line of text, exact to the last bit.
  std::string text() const;
  /// @throws FormatError naming `where`.
  static Answer parse(const std::string& text, const std::string& where);
};

/// An evaluation as a journal keeps it.
struct JournalEntry {
  search::Point point;
  std::string phase;
  Answer answer;

  /// One line of text, exact to the last bit.
  std::string text() const;
  /// @throws FormatError naming `where`.
  static JournalEntry parse(const std::string& text, const std::string& where);
};

/// Where the journal of a search into `output` lies: beside it, also where its name ends with a slash.
std::filesystem::path journal_path(const std::filesystem::path& output);

/**
 * A file that every evaluation is added to, one JSON object a line, so that a search that was stopped goes on where it
 * was. The first line names the job; a last line that was cut short is dropped. One without any evaluation is worth
 * nothing: it is removed, or given to another job.
 */
class Journal {
 public:
  /// Opens or begins the journal at `path`, which no other process has until this one is done. @throws InputError when
  /// it is of another job (`fingerprint`), UsageError when another process has it, FormatError with `file:line` when it
  /// is damaged, Error when it cannot be written.
  Journal(std::filesystem::path path, std::string fingerprint);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  /// What was there when it was opened.
  const std::vector<JournalEntry>& entries() const { return entries_; }
  /// @throws Error on a full disk.
  void add(const JournalEntry& entry);
  /// Removes the file.
  void remove();

 private:
  void lock();
  void read(const std::string& fingerprint);
  void check_head(const std::string& text, const std::string& where) const;
  std::filesystem::path path_;
  std::vector<JournalEntry> entries_;
  std::ofstream out_;
  int lock_ = -1;       // a file descriptor
  bool empty_ = false;  // no evaluation is in it
};

}  // namespace weft::flow
