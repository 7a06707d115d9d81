#include "weft/core/value.h"

#include <doctest/doctest.h>

#include <string>

using namespace weft;

TEST_CASE("core/value: quoted scalars are text, bare ones may be numbers") {
  CHECK(Value::of(std::string("1e-3")).number() == 1e-3);
  CHECK(Value::of(std::string("+4")).integer() == 4);
  CHECK(Value::of(0.1).scalar == "0.1");
  CHECK(Value::of_int(-7).integer() == -7);
  CHECK(Value::of(true).boolean() == true);
  CHECK(!Value::text("1").number());
  CHECK(!Value::text("true").boolean());
  for (const char* bad : {"", "nan", "inf", "1x", "1e999", "0x10", " 1", "1 "}) {
    CAPTURE(bad);
    CHECK(!Value::of(std::string(bad)).number());
  }
  CHECK(!Value::of(std::string("1.0")).integer());
  CHECK(!Value::of(std::string("99999999999999999999")).integer());
}

TEST_CASE("core/value: maps keep order and replace in place") {
  Value map = Value::make_map();
  map.set("b", Value::of_int(1));
  map.set("a", Value::of_int(2));
  map.set("b", Value::of_int(3));
  REQUIRE(map.map.size() == 2);
  CHECK(map.key_places.size() == 2);
  CHECK(map.map[0].first == "b");
  CHECK(map.find("b")->integer() == 3);
  CHECK(map.find("c") == nullptr);
}

TEST_CASE("core/value: messages name the nearest word") {
  CHECK(nearest("wieght", {"height", "weight"}) == "weight");
  CHECK(nearest("zzz", {"height", "weight"}).empty());
  CHECK(nearest(std::string(100000, 'a'), {"weight"}).empty());
  CHECK(suggestion("densty", {"density", "seed"}) == "; did you mean 'density'?");
  CHECK(suggestion("qqq", {"density", "seed"}) == "; expected one of density, seed");
  CHECK(Value::text("abc").describe() == "'abc'");
  CHECK(Value::make_list().describe() == "a list");
}

TEST_CASE("core/value: places leave out what is unknown") {
  CHECK(Place{"f", 3, 4}.text() == "f:3:4");
  CHECK(Place{"f", 3, 0}.text() == "f:3");
  CHECK(Place{"f", 0, 4}.text() == "f");
  CHECK(Place{}.text().empty());
}

TEST_CASE("core/value: sameness looks at content and order, not at places") {
  weft::Value a = weft::Value::make_map(), b = weft::Value::make_map();
  a.set("x", weft::Value::of_int(1)), a.set("y", weft::Value::make_list());
  b.set("x", weft::Value::of_int(1)), b.set("y", weft::Value::make_list());
  b.place = {"file", 3, 4};
  CHECK(a.same_as(b));
  b.set("x", weft::Value::of_int(2));
  CHECK_FALSE(a.same_as(b));
  weft::Value swapped = weft::Value::make_map();
  swapped.set("y", weft::Value::make_list()), swapped.set("x", weft::Value::of_int(1));
  CHECK_FALSE(a.same_as(swapped));
  CHECK_FALSE(a.same_as(weft::Value()));
}
