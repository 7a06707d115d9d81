#include "flow/recipe_parts.h"

#include <fmt/format.h>

#include <utility>

namespace weft::flow {

using recipe::MapReader;

std::filesystem::path resolve_path(const std::filesystem::path& recipe, const std::string& text) {
  return (recipe.parent_path() / text).lexically_normal();
}

std::string text_of(const Value& value, std::string_view what) {
  if (!value.is_scalar() || value.scalar.empty())
    throw RecipeError(value.place, fmt::format("{} is {}, expected text", what, value.describe()));
  return value.scalar;
}

bool flag_of(const Value& value, std::string_view what) {
  if (!value.boolean())
    throw RecipeError(value.place, fmt::format("{} is {}, expected true or false", what, value.describe()));
  return *value.boolean();
}

ExamplesPart read_examples_part(const Value& value, const std::filesystem::path& recipe) {
  ExamplesPart out;
  if (value.is_scalar()) {
    out.data = resolve_path(recipe, text_of(value, "examples"));
    return out;
  }
  MapReader reader(value, "examples");
  out.data = resolve_path(recipe, text_of(reader.need("data"), "data"));
  out.form.prompt = reader.take_text("prompt", "");
  out.form.completion = reader.take_text("completion", "");
  out.form.text = reader.take_text("text", "");
  reader.finish();
  return out;
}

namespace {

double read_weight(const Value& parameters) {
  MapReader reader(parameters, "parameters");
  const Value* weight = reader.take("weight");
  reader.finish();
  if (weight == nullptr) return 1.0;
  const auto number = weight->number();
  if (!number) throw RecipeError(weight->place, fmt::format("weight is {}, expected a number", weight->describe()));
  return *number;
}

}  // namespace

AdaptersPart read_adapters_part(const Value& value, const std::filesystem::path& recipe) {
  AdaptersPart out;
  if (value.is_null()) return out;
  if (!value.is_list())
    throw RecipeError(value.place,
                      fmt::format("adapters is {}, expected a list of '- adapter: PATH'", value.describe()));
  for (size_t i = 0; i < value.list.size(); ++i) {
    MapReader reader(value.list[i], fmt::format("adapters[{}]", i));
    adapter::Pool::Source source{resolve_path(recipe, text_of(reader.need("adapter"), "adapter")), {}};
    source.name = reader.take_text("name", "");
    const Value* parameters = reader.take("parameters");
    reader.finish();
    out.sources.push_back(std::move(source));
    out.weights.push_back(parameters == nullptr || parameters->is_null() ? 1.0 : read_weight(*parameters));
  }
  return out;
}

Value to_value(const AdaptersPart& part) {
  Value out = Value::make_list();
  for (size_t i = 0; i < part.sources.size(); ++i) {
    Value entry = Value::make_map();
    entry.set("adapter", Value::of(part.sources[i].path.string()));
    if (!part.sources[i].name.empty()) entry.set("name", Value::of(part.sources[i].name));
    if (!part.weights.empty()) {
      Value parameters = Value::make_map();
      parameters.set("weight", Value::of(part.weights[i]));
      entry.set("parameters", std::move(parameters));
    }
    out.list.push_back(std::move(entry));
  }
  return out;
}

}  // namespace weft::flow
