#include <doctest/doctest.h>

#include "weft/recipe/recipe.h"

using weft::RecipeError;
using weft::Value;
using weft::recipe::MapReader;

TEST_CASE("recipe/map_reader: refuses what nobody asked for, with the nearest key") {
  const Value root = weft::recipe::parse("method: ties\nadaptors: []\n", "r.yaml");
  MapReader reader(root, "the recipe");
  CHECK(reader.take_text("method", "") == "ties");
  CHECK(reader.take("adapters") == nullptr);
  CHECK_THROWS_WITH_AS(reader.finish(), "r.yaml:2:1: unknown key 'adaptors' in the recipe; did you mean 'adapters'?",
                       RecipeError);
}

TEST_CASE("recipe/map_reader: wrong kinds and missing keys") {
  const Value root = weft::recipe::parse("method: [a]\nempty:\n", "r.yaml");
  MapReader reader(root, "the recipe");
  CHECK_THROWS_WITH_AS(reader.take_text("method", ""), "r.yaml:1:9: method is a list, expected text", RecipeError);
  CHECK_THROWS_WITH_AS(reader.need("output"), "r.yaml:1:1: the recipe has no 'output'", RecipeError);
  CHECK_THROWS_WITH_AS(reader.need("empty"), doctest::Contains("the recipe has no 'empty'"), RecipeError);
  CHECK(reader.take_text("other", "fallback") == "fallback");
  const Value list = weft::recipe::parse("- 1\n", "r.yaml");
  CHECK_THROWS_WITH_AS(MapReader(list, "adapters[0]"), "r.yaml:1:1: adapters[0] is a list, expected a mapping",
                       RecipeError);
}
