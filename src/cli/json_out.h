#pragma once

#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "io/json.h"
#include "weft/core/value.h"

namespace weft::cli {

/// A number for JSON; null where JSON has none (NaN, infinities).
inline Value json_number(double number) { return std::isfinite(number) ? Value::of(number) : Value(); }

inline Value json_texts(const std::vector<std::string>& texts) {
  Value out = Value::make_list();
  for (const std::string& text : texts) out.list.push_back(Value::text(text));
  return out;
}

inline Value json_matrix(const std::vector<std::vector<double>>& rows) {
  Value out = Value::make_list();
  for (const auto& row : rows) {
    Value list = Value::make_list();
    for (const double number : row) list.list.push_back(json_number(number));
    out.list.push_back(std::move(list));
  }
  return out;
}

inline void print_json(std::ostream& out, const Value& value) { out << io::to_json(value) << "\n"; }

}  // namespace weft::cli
