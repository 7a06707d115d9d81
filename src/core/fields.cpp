#include "weft/core/fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weft {

namespace {

[[noreturn]] void wrong(const Field& field, const Value& value, std::string_view expected) {
  throw RecipeError(value.place,
                    fmt::format("{} is {}, expected {} ({})", field.name, value.describe(), expected, field.doc));
}

std::string interval(const Field& f) {
  const bool below = f.low > -1e300, above = f.high < 1e300;
  if (!below && !above) return "any number";
  if (!below) return fmt::format("at most {}", f.high);
  if (!above) return fmt::format("{} {}", f.low_open ? "more than" : "at least", f.low);
  return fmt::format("{}{}, {}]", f.low_open ? "(" : "[", f.low, f.high);
}

bool inside(const Field& f, double x) { return (f.low_open ? x > f.low : x >= f.low) && x <= f.high; }

}  // namespace

std::string Field::range() const {
  switch (type) {
    case Type::kNumber: return interval(*this);
    case Type::kInteger: return "whole number, " + interval(*this);
    case Type::kBoolean: return "true | false";
    case Type::kChoice: return fmt::format("{}", fmt::join(choices, " | "));
    case Type::kRank: return "exact | keep | N | energy:x";
    case Type::kText: return "text";
  }
  return {};
}

const Field& find_field(const std::vector<Field>& fields, std::string_view name, const Place& place,
                        std::string_view what) {
  std::vector<std::string> names;
  for (const Field& f : fields) {
    if (f.name == name) return f;
    names.push_back(f.name);
  }
  throw RecipeError(place, fmt::format("unknown option '{}' for {}{}", name, what, suggestion(name, names)));
}

double number_of(const Field& field, const Value& value) {
  const auto x = value.number();
  if (!x || !inside(field, *x)) wrong(field, value, field.range());
  return *x;
}

long long integer_of(const Field& field, const Value& value) {
  const auto x = value.integer();
  if (!x || !inside(field, static_cast<double>(*x))) wrong(field, value, field.range());
  return *x;
}

bool boolean_of(const Field& field, const Value& value) {
  const auto x = value.boolean();
  if (!x) wrong(field, value, field.range());
  return *x;
}

int choice_of(const Field& field, const Value& value) {
  if (value.is_scalar())
    for (size_t i = 0; i < field.choices.size(); ++i)
      if (field.choices[i] == value.scalar) return static_cast<int>(i);
  if (!value.is_scalar()) wrong(field, value, field.range());
  const std::string near = nearest(value.scalar, field.choices);
  wrong(field, value, field.range() + (near.empty() ? "" : "; did you mean '" + near + "'?"));
}

}  // namespace weft
