#include <fmt/format.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>

#include "core/staged.h"
#include "recipe/value_builder.h"
#include "recipe/yaml_checks.h"
#include "weft/recipe/recipe.h"

namespace weft::recipe {

namespace {

constexpr size_t kLargestRecipe = size_t{16} << 20;

/// Options have no lines: their places are the option alone.
void flatten_places(Value& value, const std::string& what) {
  value.place = {what, 0, 0};
  for (Place& place : value.key_places) place = value.place;
  for (Value& item : value.list) flatten_places(item, what);
  for (auto& entry : value.map) flatten_places(entry.second, what);
}

Value parse_checked(std::string_view text, const std::string& file) {
  check_text(text, file);
  ValueBuilder builder(file);
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& e) {
    throw RecipeError(builder.place_of(e.mark), "not YAML: " + e.msg);
  }
  return builder.take();
}

}  // namespace

Value parse(std::string_view text, const std::string& file) { return parse_checked(text, file); }

Value load(const std::filesystem::path& path) { return parse(read_file(path, kLargestRecipe), path.string()); }

Value parse_option(std::string_view text, const std::string& option) {
  const std::string what = option.starts_with("-") ? option : "--set " + option;
  try {
    Value value = parse_checked(text, what);
    flatten_places(value, what);
    return value;
  } catch (const RecipeError& e) {
    const std::string said = e.what();
    const std::string place = e.place().text() + ": ";
    const std::string reason = said.starts_with(place) ? said.substr(place.size()) : said;
    throw RecipeError({what, 0, 0}, fmt::format("cannot read '{}': {}", text.substr(0, 200), reason));
  }
}

}  // namespace weft::recipe
