#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "io/mapped_file.h"
#include "weft/core/error.h"

namespace weft::data {

/// A mapped text file, line by line; lines end in `\n` and never contain it. A byte order mark is skipped.
class LineReader {
 public:
  /// @throws InputError when there is no such file, FormatError when it is empty.
  explicit LineReader(const std::filesystem::path& path);

  /// The next line, without its newline, or false at the end. The view holds as long as the reader.
  bool next(std::string_view& line);
  /// Where the line that next() gave stands.
  Place place() const;
  /// @throws FormatError when `line`, which next() gave, is not UTF-8.
  void check_utf8(std::string_view line) const;

 private:
  std::shared_ptr<const io::MappedFile> file_;
  std::string_view rest_;
  int number_ = 0;
};

}  // namespace weft::data
