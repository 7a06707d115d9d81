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

namespace {

const std::string kOptions = R"(["yes", "no"])";

const std::string kInstructions = R"({"Contributors": ["x"], "Definition": ["Answer the question "],
 "Positive Examples": [{"input": "1+1?", "output": "2", "explanation": "sum"}, {"input": "two", "output": ["2"]},
                       {"input": "unused", "output": "3"}],
 "Instances": [
  {"id": "task-1", "input": " What is it?", "output": ["A thing", "It"]},
  {"id": "task-2", "input": "And this", "output": "No"}]})";

}  // namespace

TEST_CASE("data/documents: BIG-Bench Hard") {
  for (const std::string blank : {" ", "\n"}) {
    const Examples got = read("{\"canary\": \"keep out\"," + blank + "\"examples\": [" + blank +
                              "{\"input\": \"a\", \"target\": \"b\"}, {\"input\": \"c\", \"target\": \"d\"}]}\n\n");
    CHECK(got.kind == Kind::kCompletion);
    REQUIRE(got.list.size() == 2);
    CHECK(got.list[1].text == "c");
    CHECK(got.list[1].completion == "d");
    CHECK(got.list[1].line == (blank == " " ? 1 : 3));
    CHECK(got.list[1].column == (blank == " " ? 69 : 32));
    CHECK(got.place(1).text().ends_with(blank == " " ? "data.jsonl:1:69" : "data.jsonl:3:32"));
  }
}

TEST_CASE("data/documents: a list of records of any shape") {
  CHECK(read("\xEF\xBB\xBF [{\"text\": \"a\"},\r\n {\"text\": \"b\"}]").list[1].text == "b");
  CHECK(read("[{\"text\": \"a\", \"label\": \"x\"}]").kind == Kind::kLabel);
  CHECK(read("{\"examples\": [{\"prompt\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": 0}]}").kind ==
        Kind::kChoice);
}

TEST_CASE("data/documents: one object over several lines is one example, one per line are many") {
  const Examples one = read("{\n  \"text\": \"a\"\n}\n");
  REQUIRE(one.list.size() == 1);
  CHECK(one.list[0].text == "a");
  CHECK(read("{\"text\": \"a\",\n \"id\": {\n }}").list.size() == 1);
  CHECK(read("{\"text\": \"a\", \"examples\": [1]}").list.size() == 1);
  CHECK(read("{\"text\": \"a\", \"examples\": [1]}\n{\"text\": \"b\", \"Definition\": 1}").list.size() == 2);
}

TEST_CASE("data/documents: O-LoRA's records are choices among labels.json, listed in the prompt") {
  const std::string text = R"([{"label": "no", "sentence": "a\nb"}, {"sentence": "c", "label": "yes"}])";
  const Examples got = read(text, {}, kOptions);
  CHECK(got.kind == Kind::kChoice);
  REQUIRE(got.list.size() == 2);
  CHECK(got.list[0].text == "Option: yes, no \na\nb\nAnswer:");
  CHECK(got.list[0].choices == Texts{"yes", "no"});
  CHECK(got.list[0].answer == 1);
  CHECK(got.list[1].answer == 0);
  CHECK(got.labels.empty());

  const Examples asked = read(text, {"Which?\nOption: {options} \n{sentence}\nAnswer:", " {choice}", ""}, kOptions);
  CHECK(asked.list[0].text == "Which?\nOption: yes, no \na\nb\nAnswer:");
  CHECK(asked.list[0].choices == Texts{" yes", " no"});
  CHECK(read(text, {"{sentence}", "{label}", ""}).list[0].completion == "no");

  CHECK(refused(text) ==
        "data.jsonl:1:2: the choices are the labels, but no labels.json stands beside the file; it "
        "lists their names");
  CHECK(refused(text, {}, R"(["yes", "not"])") ==
        "data.jsonl:1:2: the label 'no' is not in 'labels.json'; did you mean 'not'?");
  CHECK(refused(text, {}, R"(["no"])") == "data.jsonl:1:2: 1 choice, expected two or more");
  CHECK(refused(R"([{"sentence": "a", "label": 0}])", {}, kOptions) ==
        "data.jsonl:1:2: 'label' is '0', expected a string");
}

TEST_CASE("data/documents: Super-NaturalInstructions puts definition and input before the output") {
  const Examples got = read(kInstructions);
  CHECK(got.kind == Kind::kCompletion);
  REQUIRE(got.list.size() == 2);
  CHECK(got.list[0].text ==
        "Definition: Answer the question.\n\nNow complete the following example -\nInput: What is it?\nOutput:");
  CHECK(got.list[0].completion == "A thing");
  CHECK(got.list[0].answers == Texts{"A thing", "It"});
  CHECK(got.list[1].text ==
        "Definition: Answer the question.\n\nNow complete the following example -\nInput: And this.\nOutput:");
  CHECK(got.list[1].completion == "No");
  CHECK(got.list[1].line == 6);

  const Examples shown = read(kInstructions, {"{Definition}\n{Positive Examples}{input}:", " {output}", ""});
  CHECK(shown.list[0].text ==
        "Answer the question \n Positive Example 1 -\nInput: 1+1?\n Output: 2.\n\n Positive Example 2 -\nInput: two.\n"
        " Output: 2.\n\n What is it?:");
  CHECK(shown.list[0].answers == Texts{" A thing", " It"});
  CHECK(read(R"({"Instances": [{"input": "", "output": ["x"]}], "Definition": "D!"})").list[0].text ==
        "Definition: D!\n\nNow complete the following example -\nInput: .\nOutput:");
}

TEST_CASE("data/documents: what is missing or malformed is named with its place") {
  CHECK(refused("[]") == "data.jsonl: has no examples");
  CHECK(refused("{\"examples\": []}") == "data.jsonl: has no examples");
  CHECK(refused("{\"examples\": {}}") == "data.jsonl:1:14: expected a list, got an object");
  CHECK(refused("{\"Definition\": \"D\"}") == "data.jsonl: has a 'Definition', but no 'Instances'");
  CHECK(refused("{\"Instances\": []}") == "data.jsonl: has 'Instances', but no 'Definition'");
  CHECK(refused("{\"Definition\": \"D\", \"Instances\": []}") == "data.jsonl: has no examples");
  CHECK(refused("{\"Definition\": 1, \"Instances\": []}") ==
        "data.jsonl:1:16: 'Definition' is '1', expected a text or a list of texts");
  CHECK(says(refused("{\"canary\": \"a\", \"exampels\": []}"), "did you mean 'examples' for 'exampels'?"));
  CHECK(says(refused("{\"canary\":\n \"a\"}"), "data.jsonl:1:1: an example with the keys 'canary'; expected one of"));
  CHECK(refused("[{\"text\": \"a\"}, 3]") == "data.jsonl:1:17: '3', expected an object");
  CHECK(refused("[{\"text\": \"a\"},\n {\"text\": \"\"}]") == "data.jsonl:2:2: 'text' is empty");
  CHECK(refused("{\"Definition\": \"D\", \"Instances\": [{\"input\": \"a\", \"output\": []}]}") ==
        "data.jsonl:1:35: 'output' is an empty list, expected an answer or more");
  CHECK(says(refused("{\"Definition\": \"D\", \"Instances\": [{\"input\": \"a\"}]}"), "data.jsonl:1:35: an example"));
  // Positive examples matter only to a template that names them.
  const std::string shown =
      R"({"Definition": "D", "Positive Examples": [{"input": 1}], "Instances": [{"input": "a", "output": "b"}]})";
  CHECK(read(shown).list.size() == 1);
  CHECK(refused(shown, {"{Positive Examples}", "", ""}) ==
        "data.jsonl:1:43: a positive example without a text 'input'");
  CHECK(refused("[{\"text\": \"a\"}, {\"text\": \"a\", \"label\": 0}]").starts_with("data.jsonl:1:17: a text/label"));
}

TEST_CASE("data/documents: cut short, damaged, too deep or doubled") {
  for (size_t length = 1; length < kInstructions.size(); ++length)
    CHECK(refused(kInstructions.substr(0, length)).starts_with("data.jsonl"));
  CHECK(refused("[{\"text\": \"a\"}") == "data.jsonl:1:15: not valid JSON: expected ',' or ']'");
  CHECK(refused("[{\"text\": \"a\"}] 1") == "data.jsonl:1:17: not valid JSON: something follows the end");
  CHECK(refused("[{\"text\": \"\xFF\"}]").starts_with("data.jsonl:1:12: not valid JSON: not UTF-8"));
  CHECK(refused("{\"examples\": [{\"text\": \"a\"}],\n\"examples\": []}") ==
        "data.jsonl:2:13: duplicate key 'examples'");
  CHECK(refused("{\"canary\": 1, \"canary\": 2, \"examples\": []}") == "data.jsonl:1:25: duplicate key 'canary'");
  CHECK(refused("[{\"text\": \"a\", \"text\": \"b\"}]") == "data.jsonl:1:23: duplicate key 'text'");
  CHECK(says(refused("[{\"text\": " + std::string(300, '[')), "nested deeper than 200 levels"));
  CHECK(says(refused("{\"text\": \"a\"\n{\"text\": \"b\"}\n"), "data.jsonl:2:1: not valid JSON: expected ',' or '}'"));
}

TEST_CASE("data/documents: any number of records, each of a bounded size") {
  std::string many = "[{\"text\": \"a\", \"id\": 0}", large = "[{\"text\": \"a\", \"id\": [0";
  for (int i = 0; i < 80'000; ++i) many += ",{\"text\": \"a\", \"id\": 0}";
  for (int i = 0; i < 200'000; ++i) large += ",0";
  CHECK(read(many + "]").list.size() == 80'001);
  CHECK(says(refused(large + "]}]"), "more than 200000 values"));
}
