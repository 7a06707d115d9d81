#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/core/value.h"
#include "weft/data/examples.h"
#include "weft/recipe/recipe.h"

namespace weft::flow {

// Parts that recipes of several kinds have.

/// What a recipe says is relative to the folder it stands in.
std::filesystem::path resolve_path(const std::filesystem::path& recipe, const std::string& text);
/// Text of a scalar that is not empty. @throws RecipeError.
std::string text_of(const Value& value, std::string_view what);
/// true or false. @throws RecipeError.
bool flag_of(const Value& value, std::string_view what);

/// `examples`: a file, or `{data, prompt, completion, text}` with templates.
struct ExamplesPart {
  std::filesystem::path data;
  data::Template form;
};
ExamplesPart read_examples_part(const Value& value, const std::filesystem::path& recipe);

/// `adapters`: a list of `{adapter, name, parameters: {weight}}`; weights are 1 where nothing is said.
struct AdaptersPart {
  std::vector<adapter::Pool::Source> sources;
  std::vector<double> weights;
};
AdaptersPart read_adapters_part(const Value& value, const std::filesystem::path& recipe);
Value to_value(const AdaptersPart& part);

}  // namespace weft::flow
