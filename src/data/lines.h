#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "io/mapped_file.h"
#include "weft/core/error.h"

namespace weft::data {

/// A mapped text file that is not empty, without its byte order mark. Views of it hold as long as it does.
class TextFile {
 public:
  /// @throws InputError when there is no such file, FormatError when it is empty.
  explicit TextFile(const std::filesystem::path& path);
  std::string_view text() const { return text_; }

 private:
  std::shared_ptr<const io::MappedFile> file_;
  std::string_view text_;
};

/// A text line by line; lines end in `\n` and never contain it.
class LineReader {
 public:
  /// `file` names the text in messages. The text must outlive the reader.
  LineReader(std::string_view text, std::filesystem::path file);

  /// The next line, without its newline, or false at the end.
  bool next(std::string_view& line);
  /// Where the line that next() gave stands.
  Place place() const;
  /// @throws FormatError when `line`, which next() gave, is not UTF-8.
  void check_utf8(std::string_view line) const;

 private:
  std::string_view rest_;
  std::filesystem::path file_;
  int number_ = 0;
};

}  // namespace weft::data
