#include "data/lines.h"

#include <fmt/format.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "io/utf8.h"
#include "weft/data/examples.h"

namespace weft::data {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Where the text stops being UTF-8.
size_t first_bad_byte(std::string_view text) {
  // Valid up to `good`; the shortest prefix that ends in a whole character and is no longer valid ends behind the
  // culprit.
  size_t good = 0;
  while (good < text.size()) {
    size_t length = 1;
    while (length <= 4 && good + length <= text.size() && !io::valid_utf8(text.substr(good, length))) ++length;
    if (length > 4 || good + length > text.size()) return good;
    good += length;
  }
  return good;
}

}  // namespace

TextFile::TextFile(const std::filesystem::path& path) : file_(io::MappedFile::open(path)) {
  text_ = {reinterpret_cast<const char*>(file_->data()), file_->size()};
  if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
  if (text_.empty()) throw FormatError(path.string(), "is empty");
}

LineReader::LineReader(std::string_view text, std::filesystem::path file) : rest_(text), file_(std::move(file)) {}

bool LineReader::next(std::string_view& line) {
  if (rest_.empty()) return false;
  if (number_ == std::numeric_limits<int>::max())
    throw FormatError(file_.string(), fmt::format("has more than {} lines", number_));
  const size_t end = rest_.find('\n');
  line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  ++number_;
  return true;
}

Place LineReader::place() const { return {file_.string(), number_, 0}; }

void LineReader::check_utf8(std::string_view line) const {
  if (!io::valid_utf8(line))
    throw FormatError(place().text(), fmt::format("not UTF-8: byte {} of the line", first_bad_byte(line) + 1));
}

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  const TextFile file(path);
  LineReader reader(file.text(), path);
  std::vector<std::string> out;
  for (std::string_view line; reader.next(line);) {
    reader.check_utf8(line);
    out.emplace_back(line);
  }
  return out;
}

}  // namespace weft::data
