#include <doctest/doctest.h>

#include <string>

#include "weft/recipe/recipe.h"

namespace {

using weft::Value;

bool same(const Value& a, const Value& b) {
  if (a.kind != b.kind || a.scalar != b.scalar || a.list.size() != b.list.size() || a.map.size() != b.map.size())
    return false;
  for (size_t i = 0; i < a.list.size(); ++i)
    if (!same(a.list[i], b.list[i])) return false;
  for (size_t i = 0; i < a.map.size(); ++i)
    if (a.map[i].first != b.map[i].first || !same(a.map[i].second, b.map[i].second)) return false;
  return true;
}

void check_round_trip(const Value& value) {
  const std::string text = weft::recipe::to_yaml(value);
  CAPTURE(text);
  CHECK(text.back() == '\n');
  CHECK(same(weft::recipe::parse(text, "out.yaml"), value));
}

}  // namespace

TEST_CASE("recipe/emit: what is written reads back") {
  Value root = Value::make_map();
  for (const char* text :
       {"plain", "with space", "a: b", "a #b",   "#a",       "- x", "-0.5", "-",     "~",  "null", "true",
        "",      " ",          "it's", "\"q\"",  "a,b",      "[x]", "{x}",  "*a",    "&a", "!t",   "%x",
        "@x",    "`x",         "a\nb", "tab\tx", "../zoo/x", "./x", ".",    "C:\\x", "é",  "a:",   "<<",
        "|",     ">",          "?",    "? x",    "a-? x",    "1",   "=",    "---",   "..."})
    root.set("k" + std::to_string(root.map.size()), Value::of(std::string(text)));
  root.set("quoted", Value::text("1"));
  root.set("odd key: x", Value::of(true));
  root.set("nothing", Value());
  root.set("empty list", Value::make_list());
  root.set("empty map", Value::make_map());
  check_round_trip(root);
  CHECK(weft::recipe::parse(weft::recipe::to_yaml(root), "x").find("quoted")->quoted);
}

TEST_CASE("recipe/emit: nesting, long lists and lists of lists") {
  Value numbers = Value::make_list();
  for (int i = 0; i < 80; ++i) numbers.list.push_back(Value::of(i * 0.37));
  Value lists = Value::make_list();
  lists.list = {numbers, Value::make_list(), numbers};
  Value item = Value::make_map();
  item.set("filter", Value::of(std::string("mlp")));
  item.set("value", numbers);
  Value items = Value::make_list();
  items.list = {item, item};
  Value root = Value::make_map();
  root.set("lists", lists);
  root.set("items", items);
  root.set("deep", root);
  check_round_trip(root);
  check_round_trip(Value::of(std::string("alone")));
  check_round_trip(lists);
}

TEST_CASE("recipe/emit: looks as people write it") {
  const char* text =
      "adapters:\n"
      "  - adapter: ../zoo/reverse\n"
      "    name: reverse\n"
      "    parameters: {weight: 0.6, density: [0.3, 0.7]}\n"
      "method: ties\n"
      "output: {path: out/ties, dtype: bfloat16}\n";
  CHECK(weft::recipe::to_yaml(weft::recipe::parse(text, "r")) == text);
}
