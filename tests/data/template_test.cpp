#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "data/write_data.h"

using weft::UsageError;
using weft::data::Examples;
using weft::data::Kind;
using weft::data::Template;
using weft::test::data::read;
using weft::test::data::refused;
using Texts = std::vector<std::string>;

namespace {

Template prompt_and_completion(std::string prompt, std::string completion) {
  return {std::move(prompt), std::move(completion), {}};
}

}  // namespace

TEST_CASE("data/template: records of no known shape become prompts with completions") {
  const Examples got =
      read("{\"question\": \"Who?\", \"answer\": \"me\"}", prompt_and_completion("Q: {question}\nA:", " {answer}"));
  CHECK(got.kind == Kind::kCompletion);
  CHECK(got.list[0].text == "Q: Who?\nA:");
  CHECK(got.list[0].completion == " me");
  const Examples review = read("{\"text\": \"fine\", \"label\": \"good\"}",
                               prompt_and_completion("Review: {text}\nSentiment:", " {label}"));
  CHECK(review.kind == Kind::kCompletion);
  CHECK(review.list[0].completion == " good");
}

TEST_CASE("data/template: one part by template, the others as the record has them") {
  CHECK(read("{\"question\": \"Who?\", \"output\": [\"me\", \"I\"]}", {"{question}", "", ""}).list[0].answers ==
        Texts{"me", "I"});
  const Examples got = read("{\"input\": \"a\", \"output\": \"b\"}", {"", " {output}", ""});
  CHECK(got.list[0].text == "a");
  CHECK(got.list[0].completion == " b");
  const Examples choices =
      read("{\"question\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": \"y\"}", {"{question} ({choices})", "", ""});
  CHECK(choices.kind == Kind::kChoice);
  CHECK(choices.list[0].text == "a (x, y)");
  CHECK(choices.list[0].answer == 1);
}

TEST_CASE("data/template: every choice, of the record or of labels.json") {
  const Examples got = read("{\"prompt\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": 0}", {"", " {choice}.", ""});
  CHECK(got.kind == Kind::kChoice);
  CHECK(got.list[0].text == "a");
  CHECK(got.list[0].choices == Texts{" x.", " y."});
  // Without it the choices are fields like others.
  CHECK(read("{\"prompt\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": \"y\"}", {"", "{answer}", ""})
            .list[0]
            .completion == "y");
  const Examples named =
      read("{\"text\": \"a\", \"label\": \"y\"}", prompt_and_completion("{text}?", " {choice}"), R"(["x", "y"])");
  CHECK(named.kind == Kind::kChoice);
  CHECK(named.list[0].choices == Texts{" x", " y"});
  CHECK(named.list[0].answer == 1);
}

TEST_CASE("data/template: texts and labelled texts") {
  CHECK(read("{\"title\": \"a\", \"body\": \"b\"}", {"", "", "{title}. {body}"}).list[0].text == "a. b");
  const Examples got = read("{\"text\": \"a\", \"label\": \"x\"}", {"", "", "<{text}>"});
  CHECK(got.kind == Kind::kLabel);
  CHECK(got.list[0].text == "<a>");
  CHECK(got.labels == Texts{"x"});
}

TEST_CASE("data/template: braces, numbers, truth values and lists") {
  const Examples got = read("{\"text\": \"{a}\", \"n\": 1.50e1, \"t\": true, \"l\": [\"x\", 2, false]}",
                            {"", "", "{{{text}}} {n} {t} {l}"});
  CHECK(got.list[0].text == "{{a}} 1.50e1 true x, 2, false");
  // A field's own braces are no fields; the list of right answers is taken apart.
  CHECK(read("{\"q\": \"a\", \"a\": [\"x\", \"{q}\"]}", prompt_and_completion("{q}", "{a}!")).list[0].answers ==
        Texts{"x!", "{q}!"});
}

TEST_CASE("data/template: what a record cannot fill is named with line and fields") {
  const auto form = prompt_and_completion("{question}", "{answer}");
  CHECK(refused("{\"question\": \"a\", \"answer\": \"b\"}\n{\"question\": \"a\", \"anwser\": \"b\"}", form) ==
        "data.jsonl:2: the completion template names the field 'answer', which the record lacks; it has 'question', "
        "'anwser'");
  CHECK(refused("{}", form) ==
        "data.jsonl:1: the prompt template names the field 'question', which the record lacks; it has none");
  CHECK(refused("{\"question\": null, \"answer\": \"b\"}", form) ==
        "data.jsonl:1: the template's field 'question' is nothing, which has no text");
  CHECK(refused("{\"question\": {}, \"answer\": \"b\"}", form) ==
        "data.jsonl:1: the template's field 'question' is a mapping, which has no text");
  CHECK(refused("{\"question\": [[]], \"answer\": \"b\"}", form) ==
        "data.jsonl:1: the template's field 'question' is a list with a list in it, which has no text");
  CHECK(refused("{\"question\": \"a\", \"answer\": []}", form) ==
        "data.jsonl:1: the completion template's list is empty, expected an answer or more");
  CHECK(refused("{\"question\": \"a\", \"answer\": \"\"}", form) ==
        "data.jsonl:1: the completion template gives an empty text");
  CHECK(refused("{\"text\": \"\"}", {"", "", "{text}"}) == "data.jsonl:1: the text template gives an empty text");
  CHECK(refused("{\"a\": [\"x\"], \"b\": [\"y\"]}", prompt_and_completion("p", "{a}{b}")) ==
        "data.jsonl:1: the completion template has two fields that are lists, 'a' and 'b'; one may be");
  CHECK(refused("{\"text\": \"a\", \"label\": \"b\"}", prompt_and_completion("{text}", "{choice}")) ==
        "data.jsonl:1: the choices are the labels, but no labels.json stands beside the file; it lists their names");
}

TEST_CASE("data/template: malformed templates and parts that examples do not have") {
  const std::string good = "{\"text\": \"a\"}";
  const auto said = [&](const Template& form) { return refused<UsageError>(good, form); };
  CHECK(said({"", "", "a {text"}) ==
        "the text template 'a {text': '{' at character 3 is not closed; write {{ for a brace");
  CHECK(said({"", "", "{te{xt}"}) ==
        "the text template '{te{xt}': '{' at character 1 is not closed; write {{ for a brace");
  CHECK(said({"", "", "text}"}) ==
        "the text template 'text}': '}' at character 5 closes no field; write }} for a brace");
  CHECK(said({"a {}", "", ""}) == "the prompt template 'a {}': an empty field at character 3");
  CHECK(said({"a", "", "b"}) == "a text template and a prompt template; a text has neither prompt nor completion");
  CHECK(said({"{text}", "", ""}) ==
        "a prompt template without a completion template, but data.jsonl:1 is a text example");
  CHECK(said({"", "{text}", ""}) ==
        "a completion template without a prompt template, but data.jsonl:1 is a text example");
  CHECK(refused<UsageError>("{\"prompt\": \"a\", \"completion\": \"b\"}", {"", "", "{prompt}"}) == "no error");
  CHECK(refused<UsageError>("{\"sentence\": \"a\", \"label\": \"x\"}", {"", "{label}", ""}) ==
        "the completion template does not name {choice}, but data.jsonl:1 is a prompt/choices example");
  CHECK(refused<UsageError>("{\"prompt\": \"a\", \"completion\": \"b\"}", {"", "{choice}", ""}) ==
        "the completion template names {choice}, but data.jsonl:1 is a prompt/completion example, which has none");
}

TEST_CASE("data/template: a small record cannot become an endless text") {
  std::string list = "\"a\"";
  for (int i = 0; i < 3000; ++i) list += ",\"a\"";
  const std::string record = "{\"long\": \"" + std::string(50'000, 'x') + "\", \"list\": [" + list + "]}";
  CHECK(refused(record, prompt_and_completion("p", "{long}{list}")) ==
        "data.jsonl:1: the template makes more than 64 MiB of this record");
}
