#include <fmt/format.h>

#include <algorithm>

#include "weft/recipe/recipe.h"

namespace weft::recipe {

MapReader::MapReader(const Value& value, std::string what) : value_(value), what_(std::move(what)) {
  if (!value.is_map())
    throw RecipeError(value.place, fmt::format("{} is {}, expected a mapping", what_, value.describe()));
}

const Value* MapReader::take(std::string_view key) {
  known_.emplace_back(key);
  return value_.find(key);
}

const Value& MapReader::need(std::string_view key) {
  const Value* value = take(key);
  if (value != nullptr && !value->is_null()) return *value;
  throw RecipeError(value != nullptr ? value->place : value_.place, fmt::format("{} has no '{}'", what_, key));
}

std::string MapReader::take_text(std::string_view key, std::string fallback) {
  const Value* value = take(key);
  if (value == nullptr || value->is_null()) return fallback;
  if (!value->is_scalar())
    throw RecipeError(value->place, fmt::format("{} is {}, expected text", key, value->describe()));
  return value->scalar;
}

void MapReader::finish() const {
  for (size_t i = 0; i < value_.map.size(); ++i) {
    const std::string& key = value_.map[i].first;
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const Place place = i < value_.key_places.size() ? value_.key_places[i] : value_.place;
    throw RecipeError(place, fmt::format("unknown key '{}' in {}{}", key, what_, suggestion(key, known_)));
  }
}

}  // namespace weft::recipe
