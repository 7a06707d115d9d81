#include "weft/data/examples.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "data/document.h"
#include "data/formats/formats.h"
#include "data/lines.h"
#include "data/parse.h"
#include "io/json_reader.h"

namespace weft::data {

namespace {

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

/// The reader counts lines from 1 in a text that is one line: its place becomes that line's. `error.path()` is
/// `line 1:COLUMN`.
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

/// Gathers the examples of a file.
class Gatherer {
 public:
  Gatherer(std::string_view text, const Forms& forms, Examples& out)
      : forms_(forms), out_(out), bytes_left_(kComposedBytes + kBytesPerByte * text.size()) {}

  void take(const Record& record, const std::vector<Format>& among) {
    if (!record.map.is_map()) record.fail(fmt::format("{}, expected an object", brief(record.map)));
    const Format& format = format_of(record, forms_, among);
    if (out_.list.empty()) out_.kind = format.kind;
    if (format.kind != out_.kind) refuse_mixed_kinds(record, format.kind);
    Example example = format.read(record, forms_);
    example.line = record.place.line;
    example.column = record.place.column;
    count(record, example);
    out_.list.push_back(std::move(example));
  }

 private:
  // Templates, prompts with options and choices from labels.json can make much of a small file.
  static constexpr size_t kComposedBytes = size_t{1} << 30, kBytesPerByte = 64;

  void refuse_mixed_kinds(const Record& record, Kind kind) const {
    record.fail(fmt::format("a {} example, but line {} is a {} example; a file holds examples of one kind",
                            kind_name(kind), out_.list.front().line, kind_name(out_.kind)));
  }

  void count(const Record& record, const Example& example) {
    size_t bytes = sizeof(Example) + example.text.size() + example.completion.size() + example.label.size();
    for (const auto* texts : {&example.answers, &example.choices})
      for (const std::string& text : *texts) bytes += sizeof(std::string) + text.size();
    if (bytes > bytes_left_) record.fail("the examples take far more memory than their file; shorten the templates");
    bytes_left_ -= bytes;
  }

  const Forms& forms_;
  Examples& out_;
  size_t bytes_left_;
};

void gather_lines(std::string_view text, const std::filesystem::path& file, const Around& around, Gatherer& gatherer) {
  LineReader reader(text, file);
  Place blank;
  for (std::string_view line; reader.next(line);) {
    const Place place = reader.place();
    if (is_blank(line)) {
      if (blank.line == 0) blank = place;
      continue;
    }
    if (blank.line != 0) throw FormatError(blank.text(), "a blank line between examples");
    reader.check_utf8(line);
    gatherer.take(Record{parse_line(line, place), place, around}, formats());
  }
}

}  // namespace

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kText: return "text";
    case Kind::kCompletion: return "prompt/completion";
    case Kind::kLabel: return "text/label";
    case Kind::kChoice: return "prompt/choices";
  }
  return {};
}

Place Examples::place(size_t index) const {
  const Example& example = list.at(index);
  return {file.string(), example.line, example.column};
}

Examples parse_examples(std::string_view text, const std::filesystem::path& file, const ReadOptions& options,
                        LabelNames labels) {
  const Forms forms(options.form);
  Around around;
  around.labels = std::move(labels);
  Examples out;
  out.file = file;
  Gatherer gatherer(text, forms, out);
  if (is_document(text))
    read_document(text, file.string(), around,
                  [&](const Record& record, const std::vector<Format>& among) { gatherer.take(record, among); });
  else
    gather_lines(text, file, around, gatherer);
  if (out.list.empty()) throw FormatError(file.string(), "has no examples");
  settle_labels(out, around.labels);
  return out;
}

Examples read_examples(const std::filesystem::path& path, const ReadOptions& options) {
  const Forms check(options.form);  // what the caller wrote is judged before the file
  const TextFile file(path);
  return parse_examples(file.text(), path, options, LabelNames::beside(path));
}

}  // namespace weft::data
