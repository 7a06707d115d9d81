#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "data/write_data.h"

using weft::data::Examples;
using weft::test::data::read;
using weft::test::data::refused;
using Texts = std::vector<std::string>;

namespace {

const std::string kNamed = R"({"text": "a", "label": "good"})"
                           "\n"
                           R"({"text": "b", "label": "bad"})"
                           "\n"
                           R"({"text": "c", "label": "good"})";

}  // namespace

TEST_CASE("data/labels: the names that occur, in order of appearance, unless labels.json lists them") {
  CHECK(read(kNamed).labels == Texts{"good", "bad"});
  CHECK(read(kNamed, {}, R"(["bad", "fair", "good"])").labels == Texts{"bad", "fair", "good"});
  CHECK(read(R"({"text": "a", "label": 3})").labels.empty());
  CHECK(read(R"({"text": "a", "label": 1})", {}, R"(["bad", "good"])").labels == Texts{"bad", "good"});
  CHECK(read("{\"text\": \"a\"}", {}, "a broken labels.json of no concern").list.size() == 1);
}

TEST_CASE("data/labels: a label that labels.json lacks is named with the nearest") {
  CHECK(refused(kNamed, {}, R"(["good", "bed"])") ==
        "data.jsonl:2: the label 'bad' is not in 'labels.json'; did you mean 'bed'?");
  CHECK(refused(kNamed, {}, R"(["good", "neutral"])") == "data.jsonl:2: the label 'bad' is not in 'labels.json'");
  CHECK(refused(R"({"text": "a", "label": 2})", {}, R"(["good", "bad"])") ==
        "data.jsonl:1: the label 2, but labels.json has 2 names, from 0");
}

TEST_CASE("data/labels: a malformed labels.json is refused") {
  CHECK(refused(kNamed, {}, "[]") == "labels.json: has no labels");
  CHECK(refused(kNamed, {}, R"({"good": 0})") == "labels.json:1:1: a mapping, expected a list of label names");
  CHECK(refused(kNamed, {}, R"(["good", 1])") == "labels.json:1:10: '1', expected a label name in quotes");
  CHECK(refused(kNamed, {}, R"(["good", ""])") == "labels.json: a label is empty");
  CHECK(refused(kNamed, {}, R"(["good", "bad", "good"])") == "labels.json: the label 'good' occurs twice");
  CHECK(refused(kNamed, {}, "[\"good\"").starts_with("labels.json:1:"));
  CHECK(refused(kNamed, {}, "[\"\xFF\"]").starts_with("labels.json:1:"));
}
