#include "weft/data/examples.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "data/formats/formats.h"
#include "data/lines.h"
#include "io/json_reader.h"

namespace weft::data {

namespace {

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

/// The reader counts lines from 1 in a text that is one line: its place becomes that line's. `error.path()` is
/// `:1:COLUMN`.
[[noreturn]] void rethrow_in_line(const FormatError& error, const Place& line) {
  const std::string& at = error.path();
  const std::string text = std::string(error.what()).substr(at.size() + 2);
  const size_t colon = at.rfind(':');
  throw FormatError(colon == std::string::npos ? line.text() : line.text() + at.substr(colon), text);
}

Value parse_line(std::string_view text, const Place& line) {
  try {
    io::JsonReader reader(text, {});
    Value value = reader.value();
    reader.end();
    return value;
  } catch (const FormatError& error) {
    rethrow_in_line(error, line);
  }
}

Example read_example(std::string_view text, const Place& line, Kind& kind) {
  Record record{parse_line(text, line), line};
  if (!record.map.is_map()) throw FormatError(line.text(), fmt::format("{}, expected an object", brief(record.map)));
  const Format& format = format_of(record);
  kind = format.kind;
  Example out = format.read(record);
  out.line = line.line;
  return out;
}

void refuse_mixed_kinds(const Examples& before, Kind kind, const Place& line) {
  throw FormatError(line.text(),
                    fmt::format("a {} example, but line {} is a {} example; a file holds examples of one kind",
                                kind_name(kind), before.list.front().line, kind_name(before.kind)));
}

}  // namespace

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kText: return "text";
    case Kind::kCompletion: return "prompt/completion";
    case Kind::kLabel: return "text/label";
  }
  return {};
}

Place Examples::place(size_t index) const { return {file.string(), list.at(index).line, 0}; }

Examples read_examples(const std::filesystem::path& path) {
  LineReader reader(path);
  Examples out;
  out.file = path;
  Place blank;
  for (std::string_view text; reader.next(text);) {
    const Place line = reader.place();
    if (is_blank(text)) {
      if (blank.line == 0) blank = line;
      continue;
    }
    if (blank.line != 0) throw FormatError(blank.text(), "a blank line between examples");
    reader.check_utf8(text);
    Kind kind{};
    Example example = read_example(text, line, kind);
    if (out.list.empty()) out.kind = kind;
    if (kind != out.kind) refuse_mixed_kinds(out, kind, line);
    out.list.push_back(std::move(example));
  }
  if (out.list.empty()) throw FormatError(path.string(), "has no examples");
  return out;
}

}  // namespace weft::data
