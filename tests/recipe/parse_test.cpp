#include <doctest/doctest.h>

#include <string>

#include "weft/recipe/recipe.h"

namespace {

using weft::RecipeError;
using weft::Value;
using weft::recipe::parse;

/// The message of the RecipeError that parsing `text` gives.
std::string refusal(const std::string& text) {
  try {
    parse(text, "r.yaml");
  } catch (const RecipeError& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("recipe/parse: scalars keep their spelling, quotes and places") {
  const Value root = parse("a: 1e-3\nb: \"1\"\nc: [x, 'y', ~]\nd:\n  - {k: true}\n", "r.yaml");
  REQUIRE(root.is_map());
  CHECK(root.find("a")->number() == 1e-3);
  CHECK_FALSE(root.find("b")->number());
  CHECK(root.find("b")->scalar == "1");
  const Value& c = *root.find("c");
  REQUIRE(c.list.size() == 3);
  CHECK_FALSE(c.list[0].quoted);
  CHECK(c.list[1].quoted);
  CHECK(c.list[2].is_null());
  CHECK(c.list[1].place.text() == "r.yaml:3:8");
  CHECK(root.key_places[3].text() == "r.yaml:4:1");
  CHECK(root.find("d")->list[0].find("k")->boolean() == true);
}

TEST_CASE("recipe/parse: an empty file is nothing") {
  CHECK(parse("", "r.yaml").is_null());
  CHECK(parse("# only a comment\n", "r.yaml").is_null());
  CHECK(parse("---\n", "r.yaml").is_null());
}

TEST_CASE("recipe/parse: anchors, aliases and merge keys") {
  const Value root = parse(
      "base: &b {weight: 1, density: 0.5}\none: *b\ntwo: {<<: *b, weight: 2}\n"
      "three: {<<: [{weight: 7}, *b]}\n",
      "r.yaml");
  CHECK(root.find("one")->find("weight")->scalar == "1");
  CHECK(root.find("two")->find("weight")->scalar == "2");
  CHECK(root.find("two")->find("density")->scalar == "0.5");
  CHECK(root.find("two")->map.size() == root.find("two")->key_places.size());
  CHECK(root.find("three")->find("weight")->scalar == "7");
  CHECK(root.find("three")->find("density")->scalar == "0.5");
}

TEST_CASE("recipe/parse: refuses with the place") {
  CHECK(refusal("a: 1\nb: 2\na: 3\n") == "r.yaml:3:1: 'a' stands twice in one mapping");
  CHECK(refusal("a: 1\n---\nb: 2\n").find("r.yaml:2:1: a second document") == 0);
  CHECK(refusal("? [1, 2]\n: x\n") == "r.yaml:1:3: a key is a list, expected text");
  CHECK(refusal("3: x\n") == "r.yaml:1:1: a key is '3', expected text");
  CHECK(refusal("~: x\n") == "r.yaml:1:1: a key is nothing, expected text");
  CHECK(refusal("a: [1, 2\n") == "r.yaml:2:1: not YAML: end of sequence flow not found");
  CHECK(refusal("a: *nowhere\n").find("r.yaml:1:4: not YAML: the referenced anchor") == 0);
  CHECK(refusal("a: &x [1, *x]\n").find("r.yaml:1:11: this alias stands inside") == 0);
  CHECK(refusal("a: !!python/object:os.system x\n").find("r.yaml:1:4: tag") == 0);
  CHECK(refusal("a: 1\nb: \x01\n") == "r.yaml:2:4: control character 0x01; a recipe is plain text");
  CHECK(refusal("a: \xC3(\n") == "r.yaml:1:4: byte 0xc3 is not UTF-8");
  CHECK(refusal("a: {<<: 3}\n").find("r.yaml:1:5: '<<' is '3', expected a mapping") == 0);
}

TEST_CASE("recipe/parse: aliases that explode are stopped") {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1), name = "a" + std::to_string(i);
    text += name + ": &" + name + " [";
    for (int k = 0; k < 10; ++k) text += (k != 0 ? ", " : "") + before;
    text += "]\n";
  }
  CHECK(refusal(text).find("more than 100000 values once aliases are expanded") != std::string::npos);

  std::string wide = "a: &a " + std::string(1 << 20, 'x') + "\nb: [";
  for (int i = 0; i < 1000; ++i) wide += "*a, ";
  CHECK(refusal(wide + "]\n").find("MB of text once aliases are expanded") != std::string::npos);
}

TEST_CASE("recipe/parse: deep nesting is stopped in every style") {
  const auto repeat = [](const std::string& what, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += what;
    return out;
  };
  CHECK(refusal(repeat("[", 65)).find("nested deeper than 64 levels") != std::string::npos);
  CHECK(refusal(repeat("{a: ", 5000)).find("nested deeper") != std::string::npos);
  CHECK(refusal(repeat("- ", 100000)).find("nested deeper") != std::string::npos);
  CHECK(refusal(repeat("? ", 100000)).find("r.yaml:") == 0);
  CHECK(refusal(repeat("[", 3000000)).find("more than 100000 brackets") != std::string::npos);
  std::string steps;
  for (int i = 0; i < 200; ++i) steps += std::string(i, ' ') + "a:\n";
  CHECK(refusal(steps).find("nested deeper") != std::string::npos);
  CHECK(refusal(repeat("[", 64) + repeat("]", 64)) == "accepted");
}

TEST_CASE("recipe/parse_option: flow syntax, places say which option") {
  const Value list = weft::recipe::parse_option("[0.3, 0.7]", "density");
  REQUIRE(list.list.size() == 2);
  CHECK(list.list[1].place.text() == "--set density");
  CHECK(weft::recipe::parse_option("energy:0.99", "rank").scalar == "energy:0.99");
  CHECK(weft::recipe::parse_option("{energy: 0.99}", "rank").find("energy")->number() == 0.99);
  CHECK(weft::recipe::parse_option("-0.5", "--weights").place.text() == "--weights");
  CHECK_THROWS_WITH_AS(weft::recipe::parse_option("[1, 2", "density"),
                       doctest::Contains("--set density: cannot read '[1, 2'"), RecipeError);
}

TEST_CASE("recipe/load: missing and oversized files are the input's fault") {
  CHECK_THROWS_AS(weft::recipe::load("/nonexistent/r.yaml"), weft::InputError);
}
