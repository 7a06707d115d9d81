#include "io/json_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <utility>

#include "io/utf8.h"
#include "weft/core/error.h"

namespace weft::io {

namespace {

constexpr size_t kReaderMaxDepth = 200;
constexpr size_t kReaderMaxValues = 200'000;

/// JSON's number grammar at the start of `text`: the number's length, or 0.
size_t json_number_length(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t from = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at > from;
  };
  if (at < text.size() && text[at] == '-') ++at;
  if (at < text.size() && text[at] == '0')
    ++at;
  else if (!digits())
    return 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!digits()) return 0;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (!digits()) return 0;
  }
  return at;
}

void refuse_duplicates(const Value& value) {
  std::vector<size_t> order(value.map.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return value.map[a].first < value.map[b].first; });
  for (size_t i = 1; i < order.size(); ++i)
    if (value.map[order[i - 1]].first == value.map[order[i]].first)
      throw FormatError(value.key_places[order[i]].text(),
                        fmt::format("duplicate key '{}'", value.map[order[i]].first));
}

}  // namespace

JsonReader::JsonReader(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {
  if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
}

Place JsonReader::place_at(size_t at) const {
  at = std::min(at, text_.size());
  if (at < seen_) seen_ = 0, line_ = 1, column_ = 1;
  for (; seen_ < at; ++seen_) {
    const auto c = static_cast<unsigned char>(text_[seen_]);
    if (c == '\n')
      ++line_, column_ = 1;
    else if ((c & 0xC0U) != 0x80U)
      ++column_;
  }
  return {file_, line_, column_};
}

void JsonReader::fail_at(size_t at, const std::string& what) const { throw FormatError(place_at(at).text(), what); }

Place JsonReader::place() {
  blanks();
  return place_at(at_);
}

void JsonReader::fail(const std::string& what) {
  blanks();
  fail_at(at_, what);
}

void JsonReader::blanks() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
    ++at_;
}

JsonReader::Kind JsonReader::peek() {
  blanks();
  if (at_ >= text_.size()) fail_at(at_, "not valid JSON: the text ends where a value was expected");
  switch (text_[at_]) {
    case '{': return Kind::kMap;
    case '[': return Kind::kList;
    case '"': return Kind::kText;
    case 't':
    case 'f': return Kind::kBoolean;
    case 'n': return Kind::kNull;
    default: break;
  }
  if (text_[at_] == '-' || (text_[at_] >= '0' && text_[at_] <= '9')) return Kind::kNumber;
  fail_at(at_, "not valid JSON: expected a value");
}

void JsonReader::expect(Kind kind, const char* what) {
  const Kind got = peek();
  if (got == kind) return;
  const char* const names[] = {"null", "true or false", "a number", "a string", "a list", "an object"};
  fail_at(at_, fmt::format("expected {}, got {}", what, names[static_cast<int>(got)]));
}

void JsonReader::open() {
  if (first_.size() >= kReaderMaxDepth) fail_at(at_, fmt::format("nested deeper than {} levels", kReaderMaxDepth));
  first_.push_back(true);
  ++at_;
}

bool JsonReader::more(char close) {
  blanks();
  if (at_ < text_.size() && text_[at_] == close) {
    ++at_;
    first_.pop_back();
    return false;
  }
  if (!first_.back()) {
    if (at_ >= text_.size() || text_[at_] != ',')
      fail_at(at_, fmt::format("not valid JSON: expected ',' or '{}'", close));
    ++at_;
    blanks();
  }
  first_.back() = false;
  return true;
}

void JsonReader::begin_map() {
  expect(Kind::kMap, "an object");
  open();
}

void JsonReader::begin_list() {
  expect(Kind::kList, "a list");
  open();
}

bool JsonReader::next_entry() { return more(']'); }

bool JsonReader::next_key(std::string& key) {
  if (!more('}')) return false;
  expect(Kind::kText, "a key in quotes");
  key = text();
  blanks();
  if (at_ >= text_.size() || text_[at_] != ':') fail_at(at_, "not valid JSON: expected ':'");
  ++at_;
  return true;
}

std::uint32_t JsonReader::hex4() {
  std::uint32_t code = 0;
  const char* const from = text_.data() + at_;
  if (text_.size() - at_ < 4) fail_at(at_, "not valid JSON: \\u needs four hexadecimal digits");
  const auto [end, error] = std::from_chars(from, from + 4, code, 16);
  if (error != std::errc{} || end != from + 4) fail_at(at_, "not valid JSON: \\u needs four hexadecimal digits");
  at_ += 4;
  return code;
}

/// Reads an escape sequence behind its backslash into scratch_.
void JsonReader::unescape() {
  static constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
  if (at_ >= text_.size()) fail_at(at_, "not valid JSON: a string without its closing quote");
  const char c = text_[at_++];
  if (const size_t k = kFrom.find(c); k != std::string_view::npos) {
    scratch_ += kTo[k];
    return;
  }
  if (c != 'u') fail_at(at_ - 1, "not valid JSON: unknown escape in a string");
  std::uint32_t code = hex4();
  if (code >= 0xDC00 && code < 0xE000) fail_at(at_, "not valid JSON: half of a surrogate pair in a string");
  if (code >= 0xD800 && code < 0xDC00) {
    if (text_.substr(at_, 2) != "\\u") fail_at(at_, "not valid JSON: half of a surrogate pair in a string");
    at_ += 2;
    const std::uint32_t low = hex4();
    if (low < 0xDC00 || low >= 0xE000) fail_at(at_, "not valid JSON: half of a surrogate pair in a string");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(scratch_, code);
}

std::string_view JsonReader::text() {
  expect(Kind::kText, "a string");
  const size_t start = ++at_;
  bool plain = true, ascii = true;
  size_t run = start;  // what stands before this is in scratch_, unless plain
  scratch_.clear();
  while (true) {
    if (at_ >= text_.size()) fail_at(start - 1, "not valid JSON: a string without its closing quote");
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') break;
    if (c < 0x20) fail_at(at_, "not valid JSON: a control character in a string must be escaped");
    if (c >= 0x80) ascii = false;
    if (c != '\\') {
      ++at_;
      continue;
    }
    plain = false;
    scratch_.append(text_, run, at_ - run);
    ++at_;
    unescape();
    run = at_;
  }
  const std::string_view raw = text_.substr(run, at_ - run);
  ++at_;
  if (!ascii && !valid_utf8(text_.substr(start, at_ - 1 - start))) fail_at(start, "not valid JSON: not UTF-8");
  if (plain) return raw;
  scratch_ += raw;
  return scratch_;
}

std::string_view JsonReader::spelling() {
  expect(Kind::kNumber, "a number");
  const size_t length = json_number_length(text_.substr(at_));
  const size_t after = at_ + length;
  const bool runs_on =
      after < text_.size() && std::string_view(" \t\r\n,]}").find(text_[after]) == std::string_view::npos;
  if (length == 0 || runs_on) fail_at(at_, "not valid JSON: not a number");
  const std::string_view word = text_.substr(at_, length);
  at_ = after;
  return word;
}

std::int64_t JsonReader::integer() {
  blanks();
  const size_t from = at_;
  const std::string_view word = spelling();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size())
    fail_at(from, fmt::format("expected a whole number, got {}", word.substr(0, 40)));
  return value;
}

double JsonReader::number() {
  blanks();
  const size_t from = at_;
  const std::string_view word = spelling();
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  // Too small for a double is zero, as everywhere; too large is refused.
  if (error == std::errc::result_out_of_range && word.find("e-") != std::string_view::npos) return 0;
  if (error != std::errc{} || end != word.data() + word.size() || !std::isfinite(value))
    fail_at(from, fmt::format("not a usable number: {}", word.substr(0, 40)));
  return value;
}

void JsonReader::literal(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) fail_at(at_, "not valid JSON: expected a value");
  at_ += word.size();
}

bool JsonReader::boolean() {
  expect(Kind::kBoolean, "true or false");
  const bool flag = text_[at_] == 't';
  literal(flag ? "true" : "false");
  return flag;
}

void JsonReader::null() {
  expect(Kind::kNull, "null");
  literal("null");
}

Value JsonReader::value() {
  const Kind kind = peek();
  const Place start = place_at(at_);
  if (++values_ > kReaderMaxValues) fail_at(at_, fmt::format("more than {} values", kReaderMaxValues));
  Value made;
  switch (kind) {
    case Kind::kNull: null(); break;
    case Kind::kBoolean: made = Value::of(boolean()); break;
    case Kind::kNumber: made = Value::of(std::string(spelling())); break;
    case Kind::kText: made = Value::text(std::string(text())); break;
    case Kind::kList:
      made = Value::make_list();
      for (begin_list(); next_entry();) made.list.push_back(value());
      break;
    case Kind::kMap: {
      made = Value::make_map();
      std::string key;
      for (begin_map(); next_key(key);) {
        made.key_places.push_back(place_at(at_));
        made.map.emplace_back(key, Value{});
        made.map.back().second = value();
      }
      refuse_duplicates(made);
      break;
    }
  }
  made.place = start;
  return made;
}

void JsonReader::skip() {
  switch (peek()) {
    case Kind::kNull: return null();
    case Kind::kBoolean: return void(boolean());
    case Kind::kNumber: return void(spelling());
    case Kind::kText: return void(text());
    case Kind::kList:
      for (begin_list(); next_entry();) skip();
      return;
    case Kind::kMap: {
      std::string key;
      for (begin_map(); next_key(key);) skip();
      return;
    }
  }
}

void JsonReader::end() {
  blanks();
  if (at_ < text_.size()) fail_at(at_, "not valid JSON: something follows the end");
}

}  // namespace weft::io
