#include "weft/data/examples.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "data/write_data.h"
#include "support/error_text.h"
#include "support/temp_dir.h"

using weft::FormatError;
using weft::InputError;
using weft::data::Examples;
using weft::data::Kind;
using weft::data::read_examples;
using weft::data::read_lines;
using weft::test::error_text;
using weft::test::says;
using weft::test::TempDir;
using weft::test::data::read;
using weft::test::data::refused;
using weft::test::data::write;

TEST_CASE("data/examples: texts, prompts with completions and labelled texts are told by their keys") {
  const Examples texts = read("{\"text\": \"a\\nb\"}\n{\"text\": \"\\u00e9\\ud83d\\ude00\"}\n");
  CHECK(texts.kind == Kind::kText);
  REQUIRE(texts.list.size() == 2);
  CHECK(texts.list[0].text == "a\nb");
  CHECK(texts.list[1].text == "é😀");
  CHECK(texts.list[1].line == 2);
  CHECK(texts.place(1).text() == texts.file.string() + ":2");

  const Examples prompts =
      read("{\"completion\": \" b\", \"prompt\": \"a\"}\n{\"prompt\": \"\", \"completion\": \"c\"}");
  CHECK(prompts.kind == Kind::kCompletion);
  REQUIRE(prompts.list.size() == 2);
  CHECK(prompts.list[0].text == "a");
  CHECK(prompts.list[0].completion == " b");
  CHECK(prompts.list[1].text.empty());

  const Examples labels = read("{\"text\": \"a\", \"label\": \"good\"}\n{\"text\": \"b\", \"label\": 1}\n");
  CHECK(labels.kind == Kind::kLabel);
  REQUIRE(labels.list.size() == 2);
  CHECK(labels.list[0].label == "good");
  CHECK(labels.list[0].label_index == -1);
  CHECK(labels.list[1].label.empty());
  CHECK(labels.list[1].label_index == 1);
}

TEST_CASE("data/examples: byte order mark, CRLF, blank lines at the end and foreign keys are tolerated") {
  const Examples read_back =
      read("\xEF\xBB\xBF{\"id\": 7, \"text\": \"a\", \"meta\": {\"x\": [1]}}\r\n{\"text\": \"b\"}\r\n\r\n \n");
  REQUIRE(read_back.list.size() == 2);
  CHECK(read_back.list[0].text == "a");
  CHECK(read_back.list[1].text == "b");
}

TEST_CASE("data/examples: every line that cannot be used is named with what to do") {
  const std::string good = "{\"text\": \"a\"}\n";
  CHECK(refused("") == "data.jsonl: is empty");
  CHECK(refused("\xEF\xBB\xBF") == "data.jsonl: is empty");
  CHECK(refused("\n\r\n") == "data.jsonl: has no examples");
  CHECK(refused(good + "\n" + good) == "data.jsonl:2: a blank line between examples");
  CHECK(refused(good + "{\"text\": \"\xFF\"}") == "data.jsonl:2: not UTF-8: byte 11 of the line");
  CHECK(refused("{\"text\": \"ab\xC3") == "data.jsonl:1: not UTF-8: byte 13 of the line");
  CHECK(refused(good + "{\"text\": \"a\"") == "data.jsonl:2:13: not valid JSON: expected ',' or '}'");
  CHECK(refused(good + "text").starts_with("data.jsonl:2:1: not valid JSON"));
  CHECK(refused("{\"text\": \"a\"} {}").starts_with("data.jsonl:1:15: not valid JSON"));
  CHECK(refused("{\"text\": \"\\ud800\"}").starts_with("data.jsonl:1:"));
  CHECK(refused("{\"text\": \"a\", \"text\": \"b\"}").starts_with("data.jsonl:1:"));
  CHECK(refused(std::string(300, '[')).starts_with("data.jsonl:1:"));
  CHECK(refused(good + "[\"a\"]") == "data.jsonl:2: a list, expected an object");
  CHECK(refused("\"a\"") == "data.jsonl:1: 'a', expected an object");
  CHECK(refused("{\"text\": \"\"}") == "data.jsonl:1: 'text' is empty");
  CHECK(refused("{\"text\": null}") == "data.jsonl:1: 'text' is nothing, expected a string");
  CHECK(refused("{\"text\": 1}") == "data.jsonl:1: 'text' is '1', expected a string");
  CHECK(refused("{\"prompt\": \"a\", \"completion\": \"\"}") == "data.jsonl:1: 'completion' is empty");
  CHECK(refused("{\"text\": \"a\", \"label\": \"\"}") == "data.jsonl:1: 'label' is empty");
  for (const char* label : {"null", "true", "-1", "0.5", "[1]", "99999999999999999999"}) {
    CAPTURE(std::string(label));
    CHECK(says(refused("{\"text\": \"a\", \"label\": " + std::string(label) + "}"), "expected a name or an index"));
  }
}

TEST_CASE("data/examples: an unknown shape is answered with the nearest key") {
  const std::string shapes =
      R"(; expected one of {"text": ...}, {"prompt": ..., "completion": ...}, {"input": ..., "output": ...}, )"
      R"({"prompt": ..., "choices": [...], "answer": ...}, {"text": ..., "label": ...}, )"
      R"({"sentence": ..., "label": ...} with labels.json)";
  CHECK(refused("{}") == "data.jsonl:1: an example with no keys" + shapes);
  CHECK(refused("{\"a\": 1}") == "data.jsonl:1: an example with the keys 'a'" + shapes);
  CHECK(refused("{\"promt\": \"a\", \"completion\": \"b\"}") ==
        "data.jsonl:1: an example with the keys 'promt', 'completion'; did you mean 'prompt' for 'promt'?" + shapes);
  CHECK(says(refused("{\"text\": \"a\", \"lable\": 1}"), "did you mean 'label' for 'lable'?"));
  CHECK(says(refused("{\"prompt\": \"a\"}"), "the keys 'prompt'; expected one of"));
  CHECK(says(refused("{\"text\": \"a\", \"prompt\": \"b\", \"completion\": \"c\"}"), "expected one of"));
  CHECK(says(refused("{\"text\": \"a\", \"prompt\": \"b\"}"), "expected one of"));
}

TEST_CASE("data/examples: kinds are not mixed") {
  CHECK(refused("{\"text\": \"a\"}\n{\"text\": \"a\"}\n{\"text\": \"a\", \"label\": 0}\n") ==
        "data.jsonl:3: a text/label example, but line 1 is a text example; a file holds examples of one kind");
}

TEST_CASE("data/examples: long texts are cut in messages, between characters") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "é";
  const std::string said = refused("\"" + text + "\"");
  CHECK(said.size() < 120);
  CHECK(says(said, "é...', expected an object"));
}

TEST_CASE("data/examples: missing files and folders") {
  const TempDir dir;
  CHECK(says(error_text<InputError>([&] { read_examples(dir / "none.jsonl"); }), "none.jsonl"));
  CHECK(says(error_text<InputError>([&] { read_examples(dir.path()); }), "is a folder"));
}

TEST_CASE("data/lines: split at newlines alone; an empty line is an empty text") {
  const TempDir dir;
  using Lines = std::vector<std::string>;
  CHECK(read_lines(write(dir, "a\n\nb\r\n")) == Lines{"a", "", "b\r"});
  CHECK(read_lines(write(dir,
                         "a\xE2\x80\xA8"
                         "b\vc")) == Lines{"a\xE2\x80\xA8"
                                           "b\vc"});
  CHECK(read_lines(write(dir, "\n")) == Lines{""});
  const auto path = write(dir, "a\nb\n\xE9\n");
  CHECK(error_text<FormatError>([&] { read_lines(path); }) == path.string() + ":3: not UTF-8: byte 1 of the line");
  CHECK(says(error_text<FormatError>([&] { read_lines(write(dir, "")); }), "is empty"));
}
