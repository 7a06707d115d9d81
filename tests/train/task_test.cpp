#include "train/task.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/error_text.h"
#include "support/id_model.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;
using weft::FormatError;
using weft::InputError;
using weft::test::error_text;
using weft::test::says;
using weft::test::TempDir;
using weft::test::write_id_model;
using weft::test::write_text;
using weft::train::make_task;
using weft::train::Objective;
using weft::train::Task;
using weft::train::TrainOptions;

/// A golden model whose tokens are numbers, and what is made of examples for it.
struct TaskMaking {
  TempDir temp;
  fs::path base;
  weft::model::ModelInfo info;
  weft::text::Tokenizer tokenizer;
  TrainOptions options;

  explicit TaskMaking(const std::string& golden, int end = -1)
      : base(write_id_model(temp / "base", golden, end)),
        info(weft::model::BaseModel::inspect(base)),
        tokenizer(weft::text::Tokenizer::open(base)) {}

  Task make(const std::string& lines, const std::vector<std::string>& labels = {}) {
    write_text(temp / "examples.jsonl", lines);
    return make_task(weft::data::read_examples(temp / "examples.jsonl"), info, tokenizer, options, labels,
                     weft::silent_log());
  }
};

}  // namespace

TEST_CASE("train/task: completions end with the end token once, prompts are not scored") {
  TaskMaking making("llama");
  REQUIRE(!making.info.end_tokens.empty());
  const std::int64_t end = making.info.end_tokens.front();
  const Task task =
      making.make("{\"prompt\": \"3 4 5\", \"completion\": \"6 7\"}\n{\"prompt\": \"8\", \"completion\": \"9 " +
                  std::to_string(end) + "\"}\n");
  CHECK(task.objective == Objective::kTokens);
  CHECK(task.inputs[0] == std::vector<std::int64_t>{3, 4, 5, 6, 7, end});
  CHECK(task.inputs[1] == std::vector<std::int64_t>{8, 9, end});
  CHECK(task.first == std::vector<std::int64_t>{3, 1});
  CHECK(task.scored(0) == 3);
  making.options.append_end = false;
  CHECK(making.make("{\"prompt\": \"3\", \"completion\": \"6 7\"}\n").inputs[0] == std::vector<std::int64_t>{3, 6, 7});
}

TEST_CASE("train/task: long prompts lose their beginning behind the first token") {
  TaskMaking making("llama");
  making.options.append_end = false;
  making.options.max_tokens = 6;
  const Task task = making.make("{\"prompt\": \"1 2 3 4 5 6 7 8\", \"completion\": \"10 11\"}\n");
  CHECK(task.inputs[0] == std::vector<std::int64_t>{1, 6, 7, 8, 10, 11});
  CHECK(task.first[0] == 4);
  CHECK(says(error_text<FormatError>([&] { making.make("{\"prompt\": \"1\", \"completion\": \"2 3 4 5 6 7\"}\n"); }),
             "examples.jsonl:1"));
}

TEST_CASE("train/task: labels are embedded by their names") {
  TaskMaking making("bert_sentence");
  making.options.label_template = "5 {label}";
  const Task task = making.make("{\"text\": \"3 4\", \"label\": \"6_7\"}\n{\"text\": \"3\", \"label\": \"8\"}\n");
  CHECK(task.objective == Objective::kSimilarity);
  CHECK(task.labels == std::vector<std::string>{"6_7", "8"});
  CHECK(task.label == std::vector<std::int64_t>{0, 1});
  CHECK(task.label_inputs[0] == std::vector<std::int64_t>{5, 6, 7});
  CHECK(task.label_inputs[1] == std::vector<std::int64_t>{5, 8});
}

TEST_CASE("train/task: labelled sets that cannot be learned are refused with their place") {
  TaskMaking making("bert_sentence");
  CHECK(says(error_text<InputError>([&] { making.make("{\"text\": \"3\", \"label\": \"4\"}\n"); }), "one class"));
  CHECK(says(error_text<InputError>([&] { making.make("{\"text\": \"3\", \"label\": 1}\n"); }), "names"));
  const std::string twins = error_text<InputError>(
      [&] { making.make("{\"text\": \"3\", \"label\": \"4_5\"}\n{\"text\": \"3\", \"label\": \"4 5\"}\n"); });
  CHECK(says(twins, "same tokens"));
  const std::string unknown = error_text<FormatError>([&] {
    making.make("{\"text\": \"3\", \"label\": \"40\"}\n{\"text\": \"3\", \"label\": \"42\"}\n", {"40", "41"});
  });
  CHECK(says(unknown, "examples.jsonl:2"));
  CHECK(says(unknown, "'42'"));
  CHECK(says(error_text<InputError>([&] { making.make("{\"prompt\": \"3\", \"completion\": \"4\"}\n"); }), "encoder"));
  CHECK(says(error_text<FormatError>(
                 [&] { making.make("{\"text\": \" \", \"label\": \"4\"}\n{\"text\": \"3\", \"label\": \"5\"}\n"); }),
             "no tokens"));
}

TEST_CASE("train/task: one class is refused with a head too, but may validate") {
  TaskMaking making("bert");
  const std::string label = making.info.labels.front();
  const std::string lines = "{\"text\": \"3\", \"label\": \"" + label + "\"}\n";
  CHECK(says(error_text<InputError>([&] { making.make(lines + lines); }), "one class"));
  CHECK(making.make(lines, making.info.labels).count() == 1);
}

TEST_CASE("train/task: examples longer than learned positions are refused, or cut") {
  TaskMaking making("bert_sentence");
  std::string text;
  for (std::int64_t i = 0; i <= making.info.positions; ++i) text += "3 ";
  const std::string lines = "{\"text\": \"3\", \"label\": \"4\"}\n{\"text\": \"" + text + "\", \"label\": \"5\"}\n";
  const std::string message = error_text<InputError>([&] { making.make(lines); });
  CHECK(says(message, "examples.jsonl:2"));
  CHECK(says(message, "max_tokens"));
  making.options.max_tokens = 8;
  CHECK(making.make(lines).inputs[1].size() == 8);
}

TEST_CASE("train/task: tasks without answers are refused") {
  TaskMaking making("llama");
  CHECK_THROWS_AS(making.make("{\"prompt\": \"3\", \"completion\": \"\"}\n"), FormatError);
  CHECK_THROWS_AS(making.make("{\"prompt\": \"3\"}\n"), FormatError);
  CHECK_THROWS_AS(making.make(""), InputError);
  CHECK(
      says(error_text<FormatError>([&] { making.make("{\"prompt\": \"3\", \"completion\": \" \"}\n"); }), "no tokens"));
  CHECK(says(error_text<InputError>([&] { making.make("{\"text\": \"3\", \"label\": \"4\"}\n"); }), "template"));
}

TEST_CASE("train/task: two different tasks have different fingerprints") {
  TaskMaking making("llama");
  const Task one = making.make("{\"prompt\": \"3\", \"completion\": \"4\"}\n");
  const Task two = making.make("{\"prompt\": \"3\", \"completion\": \"5\"}\n");
  CHECK(one.fingerprint() != two.fingerprint());
  CHECK(one.fingerprint() == making.make("{\"prompt\": \"3\", \"completion\": \"4\"}\n").fingerprint());
}
