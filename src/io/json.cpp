#include "io/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/staged.h"
#include "weft/core/error.h"

namespace weft::io {

namespace {

using Nlohmann = nlohmann::json;

constexpr size_t kMaxDepth = 200;
/// A value costs some 300 bytes: this bounds what a hostile file can make us allocate. The largest tokenizers have 2e6.
constexpr size_t kMaxValues = 4'000'000;

/**
 * Builds Values from nlohmann's events. The events carry no positions, but between two of them stand only blanks,
 * commas and colons, so a cursor of our own finds where each token starts, and its spelling.
 */
class ValueBuilder {
 public:
  ValueBuilder(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  bool null() { return literal(Value{}, 4); }
  bool boolean(bool flag) { return literal(Value::of(flag), flag ? 4 : 5); }
  bool number_integer(Nlohmann::number_integer_t) { return number(); }
  bool number_unsigned(Nlohmann::number_unsigned_t) { return number(); }
  bool number_float(Nlohmann::number_float_t, const std::string&) { return number(); }
  bool binary(Nlohmann::binary_t&) { return false; }
  bool string(std::string& text) {
    seek();
    const Place place = here();
    pass_string();
    put(Value::text(std::move(text)), place);
    return true;
  }
  bool start_object(size_t) { return open(Value::make_map()); }
  bool start_array(size_t) { return open(Value::make_list()); }
  bool key(std::string& text) {
    seek();
    const Place place = here();
    pass_string();
    Value& map = *open_.back();
    count(place);
    map.map.emplace_back(std::move(text), Value{});
    map.key_places.push_back(place);
    return true;
  }
  bool end_object() {
    check_duplicates(*open_.back());
    return close();
  }
  bool end_array() { return close(); }
  bool parse_error(size_t byte, const std::string&, const Nlohmann::exception& error) {
    advance(std::min(byte > 0 ? byte - 1 : 0, text_.size()));
    std::string what = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error …": keep what follows the place.
    const size_t column = what.find("column ");
    const size_t colon = what.find(": ", column == std::string::npos ? what.find(']') : column);
    if (colon != std::string::npos) what = what.substr(colon + 2);
    if (error.id == 406) what = "a number is too large for a double";
    throw FormatError(here().text(), "not valid JSON: " + what);
  }

  Value take() { return std::move(root_); }

 private:
  Place here() const { return {file_, line_, column_}; }
  /// Moves the cursor forward to byte `to`, counting lines and characters.
  void advance(size_t to) {
    for (; at_ < to; ++at_) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '\n')
        ++line_, column_ = 1;
      else if ((c & 0xC0) != 0x80)
        ++column_;
    }
  }
  void seek() {
    size_t to = at_;
    while (to < text_.size() && std::string_view(" \t\r\n,:").find(text_[to]) != std::string_view::npos) ++to;
    advance(to);
  }
  void pass_string() {
    size_t to = at_ + 1;
    while (to < text_.size() && text_[to] != '"') to += text_[to] == '\\' ? 2 : 1;
    advance(std::min(to + 1, text_.size()));
  }
  void count(const Place& place) {
    if (++values_ > kMaxValues) throw FormatError(place.text(), fmt::format("more than {} values", kMaxValues));
  }
  Value* put(Value value, const Place& place) {
    count(place);
    value.place = place;
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Value& parent = *open_.back();
    if (parent.is_map()) return &(parent.map.back().second = std::move(value));
    parent.list.push_back(std::move(value));
    return &parent.list.back();
  }
  bool literal(Value value, size_t length) {
    seek();
    put(std::move(value), here());
    advance(std::min(at_ + length, text_.size()));
    return true;
  }
  bool number() {
    seek();
    size_t to = at_;
    while (to < text_.size() && std::string_view("0123456789+-.eE").find(text_[to]) != std::string_view::npos) ++to;
    put(Value::of(std::string(text_.substr(at_, to - at_))), here());
    advance(to);
    return true;
  }
  bool open(Value value) {
    seek();
    if (open_.size() >= kMaxDepth)
      throw FormatError(here().text(), fmt::format("nested deeper than {} levels", kMaxDepth));
    // The parent's list does not grow while this child is open, so the pointer stays good.
    open_.push_back(put(std::move(value), here()));
    advance(at_ + 1);
    return true;
  }
  bool close() {
    seek();
    advance(std::min(at_ + 1, text_.size()));
    open_.pop_back();
    return true;
  }
  void check_duplicates(const Value& value) const {
    const auto& map = value.map;
    std::vector<size_t> order(map.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return map[a].first < map[b].first; });
    for (size_t i = 1; i < order.size(); ++i)
      if (map[order[i - 1]].first == map[order[i]].first)
        throw FormatError(value.key_places[order[i]].text(),
                          fmt::format("duplicate key '{}' (first at line {})", map[order[i]].first,
                                      value.key_places[order[i - 1]].line));
  }

  std::string_view text_;
  const std::string& file_;
  size_t at_ = 0, values_ = 0;
  int line_ = 1, column_ = 1;
  Value root_;
  std::vector<Value*> open_;
};

/// JSON's own number grammar; YAML's is wider.
bool json_number(std::string_view s) {
  const std::string_view body = s.starts_with('-') ? s.substr(1) : s;
  if (body.empty() || body[0] < '0' || body[0] > '9') return false;
  if (body.size() > 1 && body[0] == '0' && body[1] >= '0' && body[1] <= '9') return false;
  return Nlohmann::accept(s.begin(), s.end());
}

std::string json_string(const std::string& text) {
  return Nlohmann(text).dump(-1, ' ', false, Nlohmann::error_handler_t::replace);
}

std::string json_scalar(const Value& value) {
  if (value.quoted) return json_string(value.scalar);
  if (const auto flag = value.boolean()) return *flag ? "true" : "false";
  if (json_number(value.scalar)) return value.scalar;
  if (const auto x = value.number()) return fmt::format("{}", *x);
  return json_string(value.scalar);  // bare YAML text
}

void write_json(const Value& value, int indent, int depth, std::string& out) {
  if (value.is_null()) return void(out += "null");
  if (value.is_scalar()) return void(out += json_scalar(value));
  const bool is_map = value.is_map();
  const size_t size = is_map ? value.map.size() : value.list.size();
  out += is_map ? '{' : '[';
  for (size_t i = 0; i < size; ++i) {
    if (i > 0) out += indent < 0 ? ", " : ",";
    if (indent >= 0) out.append("\n").append(static_cast<size_t>(indent * (depth + 1)), ' ');
    if (is_map) out += json_string(value.map[i].first) + ": ";
    write_json(is_map ? value.map[i].second : value.list[i], indent, depth + 1, out);
  }
  if (size > 0 && indent >= 0) out.append("\n").append(static_cast<size_t>(indent * depth), ' ');
  out += is_map ? '}' : ']';
}

}  // namespace

Value parse_json(std::string_view text, const std::string& file) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  ValueBuilder builder(text, file);
  Nlohmann::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

Value read_json(const std::filesystem::path& path, size_t limit) {
  return parse_json(read_file(path, limit), path.string());
}

std::string to_json(const Value& value, int indent) {
  std::string out;
  write_json(value, indent, 0, out);
  return out;
}

}  // namespace weft::io
