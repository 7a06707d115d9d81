#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weft/core/value.h"
#include "weft/data/examples.h"

namespace weft::data {

/// One object of a file, on its way to become an example.
struct Record {
  Value map;
  Place line;

  /// Takes the string under `key`. @throws FormatError at the line when it is no string, or empty unless
  /// `may_be_empty`.
  std::string take_text(std::string_view key, bool may_be_empty = false);
};

/// A value for messages, cut short.
std::string brief(const Value& value);

/// A shape that records may have. One file of this folder each.
struct Format {
  std::string_view shape;         ///< for messages: `{"text": ...}`
  Kind kind = Kind::kText;        ///< of its examples
  std::vector<std::string> keys;  ///< a record of this shape has them all
  Example (*read)(Record& record) = nullptr;
};

/// The formats of JSON lines.
const std::vector<Format>& formats();

/// The format of a record: the one with the most keys among those that it has. @throws FormatError at the line when
/// there is none, or when the record has further keys that belong to another format or look like a misspelt one.
const Format& format_of(const Record& record);

Format text_format();
Format completion_format();
Format label_format();

}  // namespace weft::data
