#include "flow/search_values.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::flow {

namespace {

std::vector<std::string> cut_at(const std::string& text, char mark) {
  std::vector<std::string> out;
  if (text.empty()) return out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(mark, begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

double weight_of(const Field& field, const std::string& name, const Value& value, const Place& place) {
  const auto number = value.number();
  if (!number)
    throw RecipeError(
        place, fmt::format("{}: the weight of '{}' is {}, expected a number", field.name, name, value.describe()));
  return *number;
}

[[noreturn]] void wrong_shape(const Field& field, const Value& value, std::string_view expected) {
  throw RecipeError(value.place, fmt::format("{} is {}, expected {}", field.name, value.describe(), expected));
}

}  // namespace

std::string search_text(const Field& field, const Value& value) {
  if (!value.is_scalar())
    throw RecipeError(value.place, fmt::format("{} is {}, expected text", field.name, value.describe()));
  return value.scalar;
}

std::vector<std::pair<std::string, double>> named_numbers(const Field& field, const Value& value) {
  std::vector<std::pair<std::string, double>> out;
  if (value.is_null()) return out;
  if (value.is_map()) {
    for (const auto& [name, number] : value.map) out.emplace_back(name, weight_of(field, name, number, number.place));
    return out;
  }
  if (!value.is_scalar()) wrong_shape(field, value, "names with numbers, {NAME: number}");
  for (const std::string& entry : cut_at(value.scalar, ',')) {
    const size_t mark = entry.rfind('=');
    if (mark == std::string::npos || mark == 0)
      throw RecipeError(value.place, fmt::format("{}: '{}' is no NAME=NUMBER", field.name, entry));
    const std::string name = entry.substr(0, mark);
    out.emplace_back(name, weight_of(field, name, Value::of(entry.substr(mark + 1)), value.place));
  }
  return out;
}

std::vector<std::vector<std::string>> name_groups(const Field& field, const Value& value) {
  std::vector<std::vector<std::string>> out;
  if (value.is_null()) return out;
  if (value.is_scalar()) {
    for (const std::string& group : cut_at(value.scalar, ',')) out.push_back(cut_at(group, '+'));
  } else if (value.is_list()) {
    for (const Value& group : value.list) {
      if (!group.is_list()) wrong_shape(field, group, "a list of names");
      auto& names = out.emplace_back();
      for (const Value& name : group.list) names.push_back(search_text(field, name));
    }
  } else {
    wrong_shape(field, value, "lists of names, [[NAME, NAME], ...]");
  }
  for (const auto& names : out)
    if (names.size() < 2)
      throw RecipeError(value.place, fmt::format("{}: a group has fewer than two names", field.name));
  return out;
}

Value to_value(const std::vector<std::pair<std::string, double>>& numbers) {
  Value out = Value::make_map();
  for (const auto& [name, number] : numbers) out.set(name, Value::of(number));
  return out;
}

Value to_value(const std::vector<std::vector<std::string>>& groups) {
  Value out = Value::make_list();
  for (const auto& names : groups) {
    Value list = Value::make_list();
    for (const std::string& name : names) list.list.push_back(Value::text(name));
    out.list.push_back(std::move(list));
  }
  return out;
}

}  // namespace weft::flow
