#pragma once

#include <string_view>
#include <vector>

#include "weft/core/error.h"
#include "weft/core/fields.h"
#include "weft/core/value.h"
#include "weft/eval/evaluate.h"

namespace weft::eval {

/// One option of an evaluation: its description and how it is set.
struct Option {
  Field field;
  bool list = false;  ///< a list of texts; one text alone is a list of one
  void (*set)(EvalOptions& options, const Value& value, const Field& field) = nullptr;
};

/// All options, in the order of help texts: the keys of `eval:` in a recipe and, with `-` for `_`, flags of `weft
/// eval`.
WEFT_API const std::vector<Option>& options();
/// Sets one by name. @throws RecipeError at the place of `value` (an unknown key: at `place`) with the nearest name.
WEFT_API void set_option(EvalOptions& to, std::string_view name, const Value& value, const Place& place);

}  // namespace weft::eval
