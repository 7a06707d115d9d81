#pragma once

#include <string>
#include <vector>

#include "weft/core/error.h"
#include "weft/core/value.h"

namespace weft {

/**
 * One option of one part: the single description from which YAML parsing, unknown-key suggestions, `--set`, `--help`,
 * `weft methods` and the README's table are made.
 */
struct WEFT_API Field {
  enum class Type { kNumber, kInteger, kBoolean, kChoice, kRank, kText };

  std::string name;  ///< key in a recipe and in `--set`
  Type type = Type::kNumber;
  std::string fallback;              ///< default, as it would be written
  double low = 0, high = 0;          ///< range of numbers
  bool low_open = false;             ///< `low` itself is not allowed
  std::vector<std::string> choices;  ///< kChoice
  std::string doc;                   ///< one line
  bool per_adapter = false;          ///< may stand under an adapter's `parameters`
  bool per_module = false;           ///< may be a gradient or a list of {filter, value}

  /// `0.5, in (0, 1]`; `exact | keep | N | energy:x`; `a | b`: for help texts and messages.
  std::string range() const;
};

/// The field called `name`; throws RecipeError at `place` with the nearest valid name. `what` is e.g. "method ties".
WEFT_API const Field& find_field(const std::vector<Field>& fields, std::string_view name, const Place& place,
                                 std::string_view what);

/// The value as a number in the field's range, or RecipeError at the value's place.
WEFT_API double number_of(const Field& field, const Value& value);
/// The value as an integer in the field's range, or RecipeError.
WEFT_API long long integer_of(const Field& field, const Value& value);
/// The value as a boolean, or RecipeError.
WEFT_API bool boolean_of(const Field& field, const Value& value);
/// The value as one of the field's choices (its index), or RecipeError with the nearest valid choice.
WEFT_API int choice_of(const Field& field, const Value& value);

}  // namespace weft
