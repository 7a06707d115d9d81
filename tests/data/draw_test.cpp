#include "weft/data/draw.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "support/error_text.h"

using weft::UsageError;
using weft::data::draw;
using weft::data::Example;
using weft::data::Examples;
using weft::data::Kind;

namespace {

Examples numbered(Kind kind, int count) {
  Examples out;
  out.file = "data.jsonl";
  out.kind = kind;
  for (int i = 0; i < count; ++i) {
    Example example;
    example.text = std::to_string(i);
    example.line = i + 1;
    if (kind == Kind::kLabel) example.label = i % 10 == 0 ? "rare" : i % 2 == 0 ? "even" : "odd";
    out.list.push_back(example);
  }
  out.labels = {"odd", "even", "rare", "never"};
  return out;
}

std::vector<int> lines(const Examples& examples) {
  std::vector<int> out;
  for (const Example& example : examples.list) out.push_back(example.line);
  return out;
}

}  // namespace

TEST_CASE("data/draw: so many per label, fewer where there are fewer, in file order") {
  const Examples from = numbered(Kind::kLabel, 40);
  const Examples few = draw(from, 8, 3);
  std::map<std::string, int> counts;
  for (const Example& example : few.list) ++counts[example.label];
  CHECK(counts == std::map<std::string, int>{{"even", 8}, {"odd", 8}, {"rare", 4}});
  const std::vector<int> order = lines(few);
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(few.labels == from.labels);
  CHECK(few.kind == Kind::kLabel);
  CHECK(few.place(0).text() == "data.jsonl:" + std::to_string(order[0]));

  Examples indices = from;
  for (Example& example : indices.list) {
    example.label_index = example.label == "odd" ? 1 : 0;
    example.label.clear();
  }
  CHECK(draw(indices, 5, 3).list.size() == 10);
}

TEST_CASE("data/draw: the same seed draws the same, more only add, other seeds draw others") {
  const Examples from = numbered(Kind::kCompletion, 100);
  const auto ten = lines(draw(from, 10, 1)), twenty = lines(draw(from, 20, 1));
  CHECK(ten.size() == 10);
  CHECK(ten == lines(draw(from, 10, 1)));
  CHECK(ten != lines(draw(from, 10, 2)));
  CHECK(std::includes(twenty.begin(), twenty.end(), ten.begin(), ten.end()));
  CHECK(draw(from, 1000, 1).list.size() == 100);
  // Every example has its turn: 200 draws of 10 miss none of 100 (chance 100 * 0.9^200 < 1e-7).
  std::set<int> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    for (const int line : lines(draw(from, 10, seed))) seen.insert(line);
  CHECK(seen.size() == 100);
}

TEST_CASE("data/draw: nothing cannot be drawn") {
  for (const std::int64_t count : {0, -3})
    CHECK(weft::test::error_text<UsageError>([&] { draw(numbered(Kind::kText, 3), count, 0); }) ==
          "cannot draw " + std::to_string(count) + " examples; expected at least 1");
}
