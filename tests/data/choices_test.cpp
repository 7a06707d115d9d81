#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "data/write_data.h"

using weft::data::Examples;
using weft::data::Kind;
using weft::test::says;
using weft::test::data::read;
using weft::test::data::refused;
using Texts = std::vector<std::string>;

TEST_CASE("data/choices: several right answers, the first one is the completion") {
  const Examples got = read(R"({"input": "a", "output": "b"})"
                            "\n"
                            R"({"input": "", "output": ["c", "d", "c"]})"
                            "\n"
                            R"({"prompt": "e", "target": ["f", "f"], "id": "task-1"})");
  CHECK(got.kind == Kind::kCompletion);
  REQUIRE(got.list.size() == 3);
  CHECK(got.list[0].text == "a");
  CHECK(got.list[0].completion == "b");
  CHECK(got.list[0].answers.empty());
  CHECK(got.list[1].text.empty());
  CHECK(got.list[1].completion == "c");
  CHECK(got.list[1].answers == Texts{"c", "d"});
  CHECK(got.list[2].completion == "f");
  CHECK(got.list[2].answers.empty());
  CHECK(got.labels.empty());
}

TEST_CASE("data/choices: the right choice is an index or a text") {
  const Examples got = read(R"({"prompt": "a", "choices": ["x", "y"], "answer": 1})"
                            "\n"
                            R"({"input": "b", "choices": ["0", "1", "z"], "answer": "0"})");
  CHECK(got.kind == Kind::kChoice);
  REQUIRE(got.list.size() == 2);
  CHECK(got.list[0].text == "a");
  CHECK(got.list[0].choices == Texts{"x", "y"});
  CHECK(got.list[0].answer == 1);
  CHECK(got.list[1].answer == 0);
  CHECK(weft::data::kind_name(got.kind) == "prompt/choices");
}

TEST_CASE("data/choices: missing, empty and wrong answers are refused") {
  const std::string at = "data.jsonl:1: ";
  CHECK(says(refused(R"({"input": "a"})"), at + "an example with the keys 'input'; expected one of"));
  CHECK(refused(R"({"input": "a", "output": ""})") == at + "'output' is empty");
  CHECK(refused(R"({"input": "a", "output": []})") == at + "'output' is an empty list, expected an answer or more");
  CHECK(refused(R"({"input": "a", "output": ["b", ""]})") == at + "entry 2 of 'output' is empty");
  CHECK(refused(R"({"input": "a", "output": ["b", 1]})") == at + "entry 2 of 'output' is '1', expected a string");
  CHECK(refused(R"({"input": "a", "output": [["b"]]})") == at + "entry 1 of 'output' is a list, expected a string");
  CHECK(refused(R"({"input": "a", "output": 3})") == at + "'output' is '3', expected a string");
  CHECK(refused(R"({"input": 1, "output": "b"})") == at + "'input' is '1', expected a string");
  CHECK(refused(R"({"input": "a", "output": null})") == at + "'output' is nothing, expected a string");
}

TEST_CASE("data/choices: choices that leave nothing to choose are refused") {
  const auto said = [](const std::string& choices, const std::string& answer) {
    return refused(R"({"prompt": "a", "choices": )" + choices + R"(, "answer": )" + answer + "}");
  };
  const std::string at = "data.jsonl:1: ";
  CHECK(said("[]", "0") == at + "0 choices, expected two or more");
  CHECK(said(R"(["x"])", "0") == at + "1 choice, expected two or more");
  CHECK(said(R"(["x", "y", "x"])", "0") == at + "the choice 'x' occurs twice");
  CHECK(said(R"(["x", ""])", "0") == at + "choice 2 is empty");
  CHECK(said(R"(["x", 2])", "0") == at + "choice 2 is '2', expected a string");
  CHECK(said(R"("x")", "0") == at + "'choices' is 'x', expected a list of texts");
  CHECK(said(R"(["x", "y"])", "2") == at + "'answer' is 2, but there are 2 choices, counted from 0");
  CHECK(said(R"(["x", "y"])", "-1") == at + "'answer' is -1, but there are 2 choices, counted from 0");
  CHECK(said(R"(["x", "y"])", "0.5") == at + "'answer' is '0.5', expected a choice or its index");
  CHECK(said(R"(["x", "y"])", "null") == at + "'answer' is nothing, expected a choice or its index");
  CHECK(said(R"(["Paris", "Rome"])", "\"Pairs\"") ==
        at + "'answer' is 'Pairs', which is none of the choices; did you mean 'Paris'?");
  CHECK(says(refused(R"({"prompt": "a", "choices": ["x", "y"]})"), "the keys 'prompt', 'choices'; expected one of"));
  CHECK(
      says(refused(R"({"prompt": "a", "choises": ["x", "y"], "answer": 0})"), "did you mean 'choices' for 'choises'?"));
}

TEST_CASE("data/choices: keys that could be meant instead are refused, others are not") {
  CHECK(says(refused(R"({"prompt": "a", "input": "b", "output": "c"})"), "('prompt' and 'input' are the same part)"));
  CHECK(says(refused(R"({"text": "a", "input": "b", "output": "c"})"), "expected one of"));
  CHECK(says(refused(R"({"prompt": "a", "completion": "b", "answer": "c"})"), "expected one of"));
  CHECK(says(refused(R"({"prompt": "a", "completoin": "b", "answer": "c"})"), "did you mean 'completion'"));
  CHECK(read(R"({"prompt": "a", "completion": "b", "inputs": 3, "example": 1, "choice": 2})").list.size() == 1);
}
