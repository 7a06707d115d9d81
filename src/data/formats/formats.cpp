#include "data/formats/formats.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace weft::data {

namespace {

bool is_among(const std::vector<std::string>& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

bool has_key(const Format& format, const std::string& key) {
  return std::any_of(format.parts.begin(), format.parts.end(),
                     [&](const Part& part) { return is_among(part.keys, key); });
}

bool has_part(const Record& record, const Part& part, const Forms& forms) {
  if (part.form != nullptr && (forms.*part.form).given()) return true;
  return std::any_of(part.keys.begin(), part.keys.end(),
                     [&](const std::string& key) { return record.map.find(key) != nullptr; });
}

size_t parts_missing(const Record& record, const Format& format, const Forms& forms) {
  return static_cast<size_t>(std::count_if(format.parts.begin(), format.parts.end(),
                                           [&](const Part& part) { return !has_part(record, part, forms); }));
}

/// Whether examples of this kind have what the templates make.
bool kind_has_parts(const Record& record, Kind kind, const Forms& forms) {
  if (forms.text.given()) return kind == Kind::kText || kind == Kind::kLabel;
  if (!forms.any()) return true;
  if (kind != Kind::kCompletion && kind != Kind::kChoice) return false;
  if (!forms.completion.given()) return true;
  const bool of_choices = forms.completion.names("choice") && record.map.find("choice") == nullptr;
  return of_choices == (kind == Kind::kChoice);
}

const Format* best_format(const Record& record, const Forms& forms, const std::vector<Format>& among,
                          bool of_any_kind) {
  const Format* best = nullptr;
  for (const Format& format : among) {
    if (!of_any_kind && !kind_has_parts(record, format.kind, forms)) continue;
    if (parts_missing(record, format, forms) > 0) continue;
    if (best == nullptr || format.parts.size() > best->parts.size()) best = &format;
  }
  return best;
}

std::string quoted_keys(const Record& record) {
  constexpr size_t kMostKeys = 6;
  std::vector<std::string> names;
  for (const auto& [key, value] : record.map.map) names.push_back(names.size() < kMostKeys ? brief_text(key) : "...");
  names.resize(std::min(names.size(), kMostKeys + 1));
  return names.empty() ? "no keys" : fmt::format("the keys {}", fmt::join(names, ", "));
}

[[noreturn]] void refuse_shape(const Record& record, const std::vector<Format>& among, const std::string& hint) {
  std::vector<std::string_view> shapes;
  for (const Format& format : among)
    if (!format.shape.empty()) shapes.push_back(format.shape);
  record.fail(
      fmt::format("an example with {}{}; expected one of {}", quoted_keys(record), hint, fmt::join(shapes, ", ")));
}

/// Keys that would complete a format, or any format's keys when nothing fits yet.
std::vector<std::string> keys_to_suggest(const Record& record, const std::vector<Format>& among, bool fits) {
  std::vector<std::string> out;
  if (!fits) out = {"examples", "Instances", "Definition"};  // a whole document's
  for (const Format& format : among) {
    if (fits && parts_missing(record, format, {}) != 1) continue;
    for (const Part& part : format.parts)
      if (!has_part(record, part, {}))
        for (const std::string& key : part.keys)
          if (!is_among(out, key)) out.push_back(key);
  }
  return out;
}

/// `; did you mean 'label' for 'lable'?` for the first key that looks like one of a format's, or nothing.
std::string misspelt_key_hint(const Record& record, const std::vector<Format>& among, bool fits) {
  constexpr size_t kMostKeys = 100;  // nobody writes more by hand
  const std::vector<std::string> missing = keys_to_suggest(record, among, fits);
  for (size_t i = 0; i < std::min(record.map.map.size(), kMostKeys); ++i) {
    const std::string& key = record.map.map[i].first;
    if (std::any_of(among.begin(), among.end(), [&](const Format& format) { return has_key(format, key); })) continue;
    const std::string near = nearest(key, missing);
    if (!near.empty()) return fmt::format("; did you mean '{}' for '{}'?", near, key);
  }
  return {};
}

[[noreturn]] void refuse_templates(const Record& record, const Forms& forms, const Format& natural) {
  if (forms.completion.given() && natural.kind == Kind::kChoice)
    throw UsageError(fmt::format("the completion template does not name {{choice}}, but {} is a {} example",
                                 record.place.text(), kind_name(natural.kind)));
  if (forms.completion.given() && natural.kind == Kind::kCompletion)
    throw UsageError(fmt::format("the completion template names {{choice}}, but {} is a {} example, which has none",
                                 record.place.text(), kind_name(natural.kind)));
  const char* given = forms.text.given() ? "text" : forms.prompt.given() ? "prompt" : "completion";
  const char* further = forms.text.given()     ? ""
                        : forms.prompt.given() ? " without a completion template"
                                               : " without a prompt template";
  throw UsageError(fmt::format("a {} template{}, but {} is a {} example", given, further, record.place.text(),
                               kind_name(natural.kind)));
}

/// Keys of other shapes, or two keys for one part, leave open what is meant.
void refuse_ambiguous(const Record& record, const Forms& forms, const Format& best, const std::vector<Format>& among) {
  if (best.shape.empty()) return;
  for (const Part& part : best.parts) {
    if (part.form != nullptr && (forms.*part.form).given()) continue;
    std::vector<std::string> there;
    for (const std::string& key : part.keys)
      if (record.map.find(key) != nullptr) there.push_back(key);
    if (there.size() > 1)
      refuse_shape(record, among, fmt::format(" ('{}' and '{}' are the same part)", there[0], there[1]));
  }
  for (const Format& format : among) {
    if (!kind_has_parts(record, format.kind, forms)) continue;
    for (const Part& part : format.parts)
      for (const std::string& key : part.keys)
        if (!(part.form != nullptr && (forms.*part.form).given()) && !has_key(best, key) &&
            record.map.find(key) != nullptr)
          refuse_shape(record, among, {});
  }
}

}  // namespace

const std::vector<Format>& formats() {
  static const std::vector<Format> all = {text_format(),  completion_format(), choice_format(),
                                          label_format(), sentence_format(),   named_choice_format()};
  return all;
}

bool is_format_key(const std::string& key) {
  return std::any_of(formats().begin(), formats().end(), [&](const Format& format) { return has_key(format, key); });
}

const Format& format_of(const Record& record, const Forms& forms, const std::vector<Format>& among) {
  const Format* best = best_format(record, forms, among, false);
  if (best == nullptr && forms.any())
    if (const Format* natural = best_format(record, {}, among, true)) refuse_templates(record, forms, *natural);
  const std::string hint = forms.any() && best != nullptr ? "" : misspelt_key_hint(record, among, best != nullptr);
  if (best == nullptr || !hint.empty()) refuse_shape(record, among, hint);
  refuse_ambiguous(record, forms, *best, among);
  return *best;
}

std::string brief_text(std::string_view text) {
  constexpr size_t kMostBytes = 59;
  if (text.size() < kMostBytes) return fmt::format("'{}'", text);
  size_t end = kMostBytes;
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return fmt::format("'{}...'", text.substr(0, end));  // not inside a character
}

std::string brief(const Value& value) { return value.is_scalar() ? brief_text(value.scalar) : value.describe(); }

}  // namespace weft::data
