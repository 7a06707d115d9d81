#include "data/formats/formats.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace weft::data {

namespace {

bool has_all_keys(const Record& record, const Format& format) {
  return std::all_of(format.keys.begin(), format.keys.end(),
                     [&](const std::string& key) { return record.map.find(key) != nullptr; });
}

bool is_among(const std::vector<std::string>& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// Keys of any format that the record does not have.
std::vector<std::string> keys_not_used(const Record& record) {
  std::vector<std::string> out;
  for (const Format& format : formats())
    for (const std::string& key : format.keys)
      if (record.map.find(key) == nullptr && !is_among(out, key)) out.push_back(key);
  return out;
}

bool is_any_formats_key(const std::string& key) {
  return std::any_of(formats().begin(), formats().end(),
                     [&](const Format& format) { return is_among(format.keys, key); });
}

std::string quoted_keys(const Record& record) {
  constexpr size_t kMostKeys = 6;
  std::vector<std::string> names;
  for (const auto& [key, value] : record.map.map)
    names.push_back(names.size() < kMostKeys ? fmt::format("'{}'", key) : "...");
  names.resize(std::min(names.size(), kMostKeys + 1));
  return names.empty() ? "no keys" : fmt::format("the keys {}", fmt::join(names, ", "));
}

[[noreturn]] void refuse_shape(const Record& record, const std::string& hint) {
  std::vector<std::string_view> shapes;
  for (const Format& format : formats()) shapes.push_back(format.shape);
  throw FormatError(record.line.text(), fmt::format("an example with {}{}; expected one of {}", quoted_keys(record),
                                                    hint, fmt::join(shapes, ", ")));
}

/// `; did you mean 'label' for 'lable'?` for the first key that looks like one of a format's, or nothing.
std::string misspelt_key_hint(const Record& record) {
  const std::vector<std::string> missing = keys_not_used(record);
  for (const auto& [key, value] : record.map.map) {
    if (is_any_formats_key(key)) continue;
    const std::string near = nearest(key, missing);
    if (!near.empty()) return fmt::format("; did you mean '{}' for '{}'?", near, key);
  }
  return {};
}

}  // namespace

const std::vector<Format>& formats() {
  static const std::vector<Format> all = {text_format(), completion_format(), label_format()};
  return all;
}

const Format& format_of(const Record& record) {
  const Format* best = nullptr;
  for (const Format& format : formats())
    if (has_all_keys(record, format) && (best == nullptr || format.keys.size() > best->keys.size())) best = &format;
  const std::string hint = misspelt_key_hint(record);
  if (best == nullptr || !hint.empty()) refuse_shape(record, hint);
  for (const auto& [key, value] : record.map.map)
    if (is_any_formats_key(key) && !is_among(best->keys, key)) refuse_shape(record, {});
  return *best;
}

std::string brief(const Value& value) {
  constexpr size_t kMostBytes = 60;
  std::string text = value.describe();
  if (text.size() <= kMostBytes) return text;
  size_t end = kMostBytes;
  while ((static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // not inside a character
  return text.substr(0, end) + "...'";
}

std::string Record::take_text(std::string_view key, bool may_be_empty) {
  for (auto& [name, value] : map.map) {
    if (name != key) continue;
    if (!value.is_scalar() || !value.quoted)
      throw FormatError(line.text(), fmt::format("'{}' is {}, expected a string", key, brief(value)));
    if (value.scalar.empty() && !may_be_empty) throw FormatError(line.text(), fmt::format("'{}' is empty", key));
    return std::move(value.scalar);
  }
  throw FormatError(line.text(), fmt::format("'{}' is missing", key));
}

}  // namespace weft::data
