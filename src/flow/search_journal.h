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

/**
 * A file that every evaluation is added to, one JSON object a line, so that a search that was stopped goes on where it
 * was. The first line names the job; a last line that was cut short is dropped.
 */
class Journal {
 public:
  /// Opens or begins the journal at `path`. @throws InputError when it is of another job (`fingerprint`), FormatError
  /// with `file:line` when it is damaged, Error when it cannot be written.
  Journal(std::filesystem::path path, std::string fingerprint);
  /// What was there when it was opened.
  const std::vector<JournalEntry>& entries() const { return entries_; }
  /// @throws Error on a full disk.
  void add(const JournalEntry& entry);
  /// Removes the file.
  void remove();

 private:
  void read(const std::string& fingerprint);
  void check_head(const std::string& text, const std::string& where, const std::string& fingerprint) const;
  std::filesystem::path path_;
  std::vector<JournalEntry> entries_;
  std::ofstream out_;
};

}  // namespace weft::flow
