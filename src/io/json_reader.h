#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "weft/core/value.h"

namespace weft::io {

/**
 * Reads JSON piece by piece without building a tree: for files with hundreds of thousands of entries. The caller asks
 * for what it expects next; anything else is a FormatError with `file:line:column`. Depth is limited to 200, invalid
 * UTF-8 is refused. Duplicate keys are the caller's business, except in value(). The text must outlive the reader.
 *
 *   for (reader.begin_map(); reader.next_key(key);) if (key == "a") a = reader.integer(); else reader.skip();
 */
class JsonReader {
 public:
  enum class Kind { kNull, kBoolean, kNumber, kText, kList, kMap };

  /// `file` names the text in messages. A UTF-8 byte order mark is skipped.
  JsonReader(std::string_view text, std::string file);

  /// What stands next, without reading it.
  Kind peek();
  void begin_map();
  /// The next key of the innermost map, or false at its end (which is then read).
  bool next_key(std::string& key);
  void begin_list();
  /// True if the innermost list has one more entry; false at its end (which is then read).
  bool next_entry();
  /// A string, valid UTF-8; the view holds until the next call.
  std::string_view text();
  std::int64_t integer();
  double number();
  bool boolean();
  void null();
  /// Any value as a tree, duplicate keys refused; all trees of a reader together have at most 200 000 values.
  Value value();
  /// Says that the trees so far are gone: they no longer count.
  void forget_values() { values_ = 0; }
  /// Passes over any value.
  void skip();
  /// Only blanks may follow.
  void end();

  /// Where the next value starts.
  Place place();
  /// @throws FormatError at the next value.
  [[noreturn]] void fail(const std::string& what);

 private:
  void blanks();
  void expect(Kind kind, const char* what);
  void literal(std::string_view word);
  std::string_view spelling();
  void open();
  bool more(char close);
  void unescape();
  std::uint32_t hex4();
  Place place_at(size_t at) const;
  [[noreturn]] void fail_at(size_t at, const std::string& what) const;

  std::string_view text_;
  std::string file_;
  size_t at_ = 0;
  std::vector<bool> first_;  // per open bracket: nothing read yet
  std::string scratch_;
  size_t values_ = 0;
  mutable size_t seen_ = 0;  // how far lines and columns are counted: places are asked for in order
  mutable int line_ = 1, column_ = 1;
};

}  // namespace weft::io
