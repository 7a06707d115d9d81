#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::cli {

/// Text in aligned columns for people.
class Table {
 public:
  /// Column titles; one that begins with '>' is aligned to the right.
  explicit Table(std::vector<std::string> titles);
  void add(std::vector<std::string> row);
  /// All rows under the titles, each line ending in a newline, indented by `indent` spaces.
  std::string text(size_t indent = 0) const;

 private:
  std::vector<std::string> titles_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

/// Names from files on a terminal: control characters become `\x1b`, so that none can forge lines or colours; newlines
/// stay when `lines`.
std::string printable(std::string_view text, bool lines = false);
/// Columns a text takes on a terminal: UTF-8 code points.
size_t display_width(std::string_view text);
/// `147 456`: thousands apart.
std::string format_count(std::int64_t number);
/// Four significant digits; `nan` and `inf` as such.
std::string format_number(double number);

}  // namespace weft::cli
