#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "io/json_reader.h"
#include "support/error_text.h"

using weft::io::JsonReader;
using weft::test::error_text;
using weft::test::says;

namespace {

std::string skip_error(const std::string& text) {
  return error_text([&] {
    JsonReader reader(text, "t.json");
    reader.skip();
    reader.end();
  });
}

}  // namespace

TEST_CASE("io/json_reader: reads piece by piece") {
  JsonReader reader("\xEF\xBB\xBF {\"a\": [1, -2.5e1, true, null], \"b\\n\": \"x\\u00e9\\ud83d\\ude42\\/\", \"c\": {}}",
                    "t");
  std::string key;
  reader.begin_map();
  REQUIRE(reader.next_key(key));
  CHECK(key == "a");
  reader.begin_list();
  REQUIRE(reader.next_entry());
  CHECK(reader.integer() == 1);
  REQUIRE(reader.next_entry());
  CHECK(reader.number() == -25);
  REQUIRE(reader.next_entry());
  CHECK(reader.boolean());
  REQUIRE(reader.next_entry());
  CHECK(reader.peek() == JsonReader::Kind::kNull);
  reader.null();
  CHECK(!reader.next_entry());
  REQUIRE(reader.next_key(key));
  CHECK(key == "b\n");
  CHECK(reader.text() == "x\u00e9\U0001F642/");
  REQUIRE(reader.next_key(key));
  CHECK(reader.value().is_map());
  CHECK(!reader.next_key(key));
  reader.end();
}

TEST_CASE("io/json_reader: trees keep places and refuse duplicate keys") {
  JsonReader reader("{\n \"k\": [\"v\", 7]}", "t.json");
  const weft::Value value = reader.value();
  REQUIRE(value.find("k") != nullptr);
  CHECK(value.find("k")->list[1].place.text() == "t.json:2:13");
  CHECK(value.find("k")->list[0].quoted);
  CHECK(says(error_text([] { JsonReader("{\"a\":1,\"a\":2}", "t").value(); }), "duplicate key 'a'"));
}

TEST_CASE("io/json_reader: malformed text is refused with its place") {
  CHECK(skip_error("{\"a\": [1, {\"b\": \"c\"}]}") == "no error");
  CHECK(skip_error("[1,\n 2 3]") == "t.json:2:4: not valid JSON: expected ',' or ']'");
  for (const char* const bad : {"",
                                "{",
                                "[",
                                "[1",
                                "[1,",
                                "[1,]",
                                "{\"a\"}",
                                "{\"a\":}",
                                "{\"a\":1,}",
                                "{a:1}",
                                "\"",
                                "\"\\",
                                "\"\\x\"",
                                "\"\\u12\"",
                                "\"\\ud800\"",
                                "\"\\udc00x\"",
                                "\"a\nb\"",
                                "tru",
                                "nul",
                                "01",
                                "1.",
                                "-",
                                "1e",
                                "+1",
                                "NaN",
                                "1 2",
                                "[}",
                                "\"\xff\"",
                                "\"\xed\xa0\x80\"",
                                "]"}) {
    CAPTURE(std::string(bad));
    CHECK(says(skip_error(bad), "not valid JSON"));
  }
  CHECK(says(skip_error(std::string(300, '[')), "nested deeper than 200"));
  CHECK(says(error_text([] { JsonReader("1.5", "t").integer(); }), "expected a whole number"));
  CHECK(says(error_text([] { JsonReader("99999999999999999999", "t").integer(); }), "expected a whole number"));
  CHECK(says(error_text([] { JsonReader("1e999", "t").number(); }), "not a usable number"));
  CHECK(says(error_text([] { JsonReader("[]", "t").text(); }), "expected a string, got a list"));
}
