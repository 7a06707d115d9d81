#pragma once

#include <string>
#include <utility>
#include <vector>

#include "weft/core/fields.h"

namespace weft {

// Fields as tables of options write them.

inline Field number_field(std::string name, std::string fallback, double low, double high, std::string doc) {
  Field out;
  out.name = std::move(name), out.fallback = std::move(fallback), out.doc = std::move(doc);
  out.low = low, out.high = high;
  return out;
}

inline Field count_field(std::string name, std::string fallback, double low, double high, std::string doc) {
  Field out = number_field(std::move(name), std::move(fallback), low, high, std::move(doc));
  out.type = Field::Type::kInteger;
  return out;
}

inline Field flag_field(std::string name, std::string fallback, std::string doc) {
  Field out = number_field(std::move(name), std::move(fallback), 0, 0, std::move(doc));
  out.type = Field::Type::kBoolean;
  return out;
}

inline Field choice_field(std::string name, std::vector<std::string> choices, std::string fallback, std::string doc) {
  Field out = flag_field(std::move(name), std::move(fallback), std::move(doc));
  out.type = Field::Type::kChoice;
  out.choices = std::move(choices);
  return out;
}

inline Field text_field(std::string name, std::string fallback, std::string doc) {
  Field out = flag_field(std::move(name), std::move(fallback), std::move(doc));
  out.type = Field::Type::kText;
  return out;
}

}  // namespace weft
