#include "weft/core/fields.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/error_text.h"

using namespace weft;

namespace {

Field density_field() {
  Field f;
  f.name = "density";
  f.fallback = "0.5";
  f.low = 0, f.high = 1, f.low_open = true;
  f.doc = "share of entries kept";
  return f;
}

Value bare_value(const std::string& text) {
  Value v = Value::of(text);
  v.place = {"r.yaml", 4, 9};
  return v;
}

std::string number_error(const std::string& text) {
  return test::error_text<RecipeError>([&] { number_of(density_field(), bare_value(text)); });
}

}  // namespace

TEST_CASE("core/fields: numbers are checked against the range") {
  CHECK(number_of(density_field(), bare_value("0.25")) == 0.25);
  CHECK(number_of(density_field(), bare_value("1")) == 1.0);
  CHECK(number_error("0") == "r.yaml:4:9: density is '0', expected (0, 1] (share of entries kept)");
  CHECK(number_error("1.5").find("is '1.5'") != std::string::npos);
  CHECK(number_error("much").find("is 'much'") != std::string::npos);
  CHECK(number_error("nan") != "no error");
}

TEST_CASE("core/fields: integers, booleans and choices") {
  Field seed;
  seed.name = "seed";
  seed.type = Field::Type::kInteger;
  seed.low = 0, seed.high = 1e301;
  CHECK(integer_of(seed, bare_value("7")) == 7);
  CHECK_THROWS_AS(integer_of(seed, bare_value("-1")), RecipeError);
  CHECK_THROWS_AS(integer_of(seed, bare_value("1.5")), RecipeError);
  CHECK(boolean_of(seed, bare_value("true")));
  CHECK_THROWS_AS(boolean_of(seed, bare_value("1")), RecipeError);
  Field space;
  space.name = "space";
  space.type = Field::Type::kChoice;
  space.choices = {"delta", "factors"};
  CHECK(choice_of(space, bare_value("factors")) == 1);
  const std::string text = test::error_text<RecipeError>([&] { choice_of(space, bare_value("detla")); });
  CHECK(text.find("did you mean 'delta'?") != std::string::npos);
  CHECK_THROWS_AS(choice_of(space, Value::make_list()), RecipeError);
}

TEST_CASE("core/fields: unknown names are answered with the nearest") {
  const std::vector<Field> fields{density_field()};
  CHECK(find_field(fields, "density", {}, "method ties").fallback == "0.5");
  const std::string text = test::error_text<RecipeError>([&] {
    find_field(fields, "densty", {"r.yaml", 2, 3}, "method ties");
  });
  CHECK(text == "r.yaml:2:3: unknown option 'densty' for method ties; did you mean 'density'?");
}
