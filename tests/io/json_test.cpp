#include "io/json.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <utility>

#include "core/staged.h"
#include "support/error_text.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace fs = std::filesystem;
using namespace weft;

TEST_CASE("io/json: keeps order, spelling and places") {
  const Value v =
      io::parse_json("{\"b\": 1.50,\n  \"ä\": [true, null, \"x\\\"\\u00e4\"], \"c\" : -12 , \"n\":1E3}", "f");
  REQUIRE(v.map.size() == 4);
  CHECK(v.map[0].first == "b");
  CHECK(v.place.text() == "f:1:1");
  CHECK(v.key_places[0].text() == "f:1:2");
  CHECK(v.map[0].second.scalar == "1.50");
  CHECK(!v.map[0].second.quoted);
  CHECK(v.map[0].second.place.text() == "f:1:7");
  CHECK(v.key_places[1].text() == "f:2:3");
  const Value& list = v.map[1].second;
  CHECK(list.place.text() == "f:2:8");
  CHECK(list.list[0].boolean() == true);
  CHECK(list.list[0].place.text() == "f:2:9");
  CHECK(list.list[1].is_null());
  CHECK(list.list[1].place.text() == "f:2:15");
  CHECK(list.list[2].scalar == "x\"ä");
  CHECK(list.list[2].quoted);
  CHECK(list.list[2].place.text() == "f:2:21");
  CHECK(v.key_places[2].text() == "f:2:35");
  CHECK(v.map[2].second.integer() == -12);
  CHECK(v.map[2].second.place.text() == "f:2:41");
  CHECK(v.map[3].second.number() == 1000.0);
  CHECK(v.map[3].second.scalar == "1E3");
}

TEST_CASE("io/json: numbers beyond 64 bits keep their digits") {
  CHECK(io::parse_json("12345678901234567890123", "f").scalar == "12345678901234567890123");
}

TEST_CASE("io/json: writes what Python writes with indent=2") {
  const Value v = io::parse_json(R"({"a":[1,{"b":null}],"e":{},"l":[],"s":"q\"\n"})", "f");
  CHECK(io::to_json(v) ==
        "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n  \"e\": {},\n  \"l\": [],\n  \"s\": "
        "\"q\\\"\\n\"\n}");
  CHECK(io::to_json(v, -1) == "{\"a\": [1, {\"b\": null}], \"e\": {}, \"l\": [], \"s\": \"q\\\"\\n\"}");
}

TEST_CASE("io/json: bare YAML scalars become valid JSON") {
  CHECK(io::to_json(Value::of(std::string("True"))) == "true");
  CHECK(io::to_json(Value::of(std::string("exact"))) == "\"exact\"");
  CHECK(io::to_json(Value::of(std::string("+1"))) == "1");
  CHECK(io::to_json(Value::of(std::string(".5"))) == "0.5");
  CHECK(io::to_json(Value::of(std::string("1e-3"))) == "1e-3");
  CHECK(io::to_json(Value::of(std::string("[1]"))) == "\"[1]\"");
  CHECK(io::to_json(Value::text("1")) == "\"1\"");
  CHECK(io::to_json(Value::text("\xff")) == "\"\xEF\xBF\xBD\"");
}

TEST_CASE("io/json: malformed text is refused with its place") {
  const fs::path folder = fs::path(WEFT_SOURCE_DIR) / "tests/fuzz/corpus/json";
  const std::pair<const char*, const char*> cases[] = {
      {"duplicate", ":3:2: duplicate key 'a' (first at line 1)"},
      {"duplicate_deep", ":1:23: duplicate key 'b'"},
      {"too_deep", ":1:201: nested deeper than 200 levels"},
      {"bomb", "nested deeper than 200 levels"},
      {"bomb_objects", "nested deeper than 200 levels"},
      {"nan", ":1:7: not valid JSON"},
      {"infinity", ":1:2: not valid JSON"},
      {"minus_infinity", "not valid JSON"},
      {"huge_number", "too large for a double"},
      {"leading_zero", "not valid JSON"},
      {"plus", "not valid JSON"},
      {"dot", "not valid JSON"},
      {"trailing_comma", ":1:4: not valid JSON"},
      {"trailing_text", ":1:4: not valid JSON"},
      {"two", "not valid JSON"},
      {"comment", "not valid JSON"},
      {"single_quotes", "not valid JSON"},
      {"unclosed", "not valid JSON"},
      {"unclosed_string", "not valid JSON"},
      {"no_value", "not valid JSON"},
      {"no_colon", "not valid JSON"},
      {"number_key", "not valid JSON"},
      {"bad_escape", "not valid JSON"},
      {"lone_surrogate", "not valid JSON"},
      {"control_character", "not valid JSON"},
      {"bad_utf8", "not valid JSON"},
      {"overlong", "not valid JSON"},
      {"nul", "not valid JSON"},
      {"empty", "not valid JSON"},
      {"blanks", "not valid JSON"},
  };
  for (const auto& [name, expected] : cases) {
    CAPTURE(name);
    REQUIRE(fs::exists(folder / name));
    const std::string text = test::error_text<FormatError>([&] { io::read_json(folder / name); });
    CHECK_MESSAGE(text.find(expected) != std::string::npos, text);
    CHECK(text.find("nlohmann") == std::string::npos);
    CHECK(text.find("json.exception") == std::string::npos);
  }
  for (const char* name : {"good", "good_bom", "good_scalar", "good_depth"})
    CHECK_NOTHROW(io::read_json(folder / name));
}

TEST_CASE("io/json: missing and oversized files") {
  const test::TempDir dir;
  CHECK_THROWS_AS(io::read_json(dir / "none.json"), InputError);
  CHECK_THROWS_AS(io::read_json(dir.path()), InputError);
  write_file(dir / "x.json", "[1, 2, 3]");
  CHECK_THROWS_AS(io::read_json(dir / "x.json", 4), InputError);
}
