#include "weft/core/value.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace weft {

Value::Value() = default;
Value::~Value() = default;
Value::Value(const Value&) = default;
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(const Value&) = default;
Value& Value::operator=(Value&&) noexcept = default;

Value Value::of(std::string text) {
  Value v;
  v.kind = Kind::kScalar;
  v.scalar = std::move(text);
  return v;
}

Value Value::text(std::string text) {
  Value v = of(std::move(text));
  v.quoted = true;
  return v;
}

Value Value::of(double number) { return of(fmt::format("{}", number)); }
Value Value::of(bool flag) { return of(std::string(flag ? "true" : "false")); }
Value Value::of_int(long long number) { return of(std::to_string(number)); }

Value Value::make_list() {
  Value v;
  v.kind = Kind::kList;
  return v;
}

Value Value::make_map() {
  Value v;
  v.kind = Kind::kMap;
  return v;
}

const Value* Value::find(std::string_view key) const {
  for (const auto& [k, v] : map)
    if (k == key) return &v;
  return nullptr;
}

Value& Value::set(std::string_view key, Value value) {
  for (auto& [k, v] : map)
    if (k == key) return v = std::move(value);
  map.emplace_back(std::string(key), std::move(value));
  key_places.emplace_back();
  return map.back().second;
}

std::optional<double> Value::number() const {
  if (!is_scalar() || quoted || scalar.empty()) return std::nullopt;
  const char* first = scalar.data();
  const char* last = first + scalar.size();
  if (*first == '+') ++first;
  double out = 0;
  const auto [end, code] = std::from_chars(first, last, out);
  if (code != std::errc() || end != last || !std::isfinite(out)) return std::nullopt;
  return out;
}

std::optional<long long> Value::integer() const {
  if (!is_scalar() || quoted || scalar.empty()) return std::nullopt;
  const char* first = scalar.data();
  const char* last = first + scalar.size();
  if (*first == '+') ++first;
  long long out = 0;
  const auto [end, code] = std::from_chars(first, last, out);
  if (code != std::errc() || end != last) return std::nullopt;
  return out;
}

std::optional<bool> Value::boolean() const {
  if (!is_scalar() || quoted) return std::nullopt;
  if (scalar == "true" || scalar == "True" || scalar == "TRUE") return true;
  if (scalar == "false" || scalar == "False" || scalar == "FALSE") return false;
  return std::nullopt;
}

bool Value::same_as(const Value& other) const {
  if (kind != other.kind || scalar != other.scalar || list.size() != other.list.size() ||
      map.size() != other.map.size())
    return false;
  for (size_t i = 0; i < list.size(); ++i)
    if (!list[i].same_as(other.list[i])) return false;
  for (size_t i = 0; i < map.size(); ++i)
    if (map[i].first != other.map[i].first || !map[i].second.same_as(other.map[i].second)) return false;
  return true;
}

std::string Value::describe() const {
  switch (kind) {
    case Kind::kNull: return "nothing";
    case Kind::kScalar: return "'" + scalar + "'";
    case Kind::kList: return "a list";
    case Kind::kMap: return "a mapping";
  }
  return "?";
}

namespace {

/// Levenshtein distance with adjacent swaps counted as one step.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

constexpr size_t kLongestWord = 64;  // untrusted keys may be huge; nobody mistypes a word of this length

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.size() > kLongestWord) return {};
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& c : candidates) {
    const size_t d = edit_distance(word, c);
    if (d < best_distance && d < c.size()) best_distance = d, best = c;
  }
  return best;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string near = nearest(word, candidates);
  if (!near.empty()) return "; did you mean '" + near + "'?";
  return fmt::format("; expected one of {}", fmt::join(candidates, ", "));
}

}  // namespace weft
