#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weft/core/fields.h"
#include "weft/core/value.h"

namespace weft::flow {

// Values of search options that are no numbers.

/// Text of a scalar. @throws RecipeError.
std::string search_text(const Field& field, const Value& value);
/// A map of names to numbers, or `a=1,b=0.5`. @throws RecipeError.
std::vector<std::pair<std::string, double>> named_numbers(const Field& field, const Value& value);
/// A list of lists of names, or `a+b,c+d`. @throws RecipeError.
std::vector<std::vector<std::string>> name_groups(const Field& field, const Value& value);
Value to_value(const std::vector<std::pair<std::string, double>>& numbers);
Value to_value(const std::vector<std::vector<std::string>>& groups);

/// True for options of an evaluation that a search has under the same name: those that say how an example is scored.
bool is_scoring_option(std::string_view name);

}  // namespace weft::flow
