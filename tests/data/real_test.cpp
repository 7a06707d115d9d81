#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "support/shared_data.h"
#include "weft/data/examples.h"

namespace fs = std::filesystem;
using weft::data::Examples;
using weft::data::Kind;
using weft::data::read_examples;

TEST_CASE("data/real: all tasks of BIG-Bench Hard") {
  const fs::path folder = weft::test::shared_data("tasks/bbh");
  if (folder.empty()) return;
  const std::map<std::string, size_t> shorter = {
      {"causal_judgement", 187}, {"penguins_in_a_table", 146}, {"snarks", 178}};
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    ++files;
    const std::string name = entry.path().stem().string();
    INFO(name);
    const Examples got = read_examples(entry.path());
    CHECK(got.kind == Kind::kCompletion);
    CHECK(got.list.size() == (shorter.contains(name) ? shorter.at(name) : 250));
    if (name == "boolean_expressions") {
      CHECK(got.list[0].text == "not ( True ) and ( True ) is");
      CHECK(got.list[0].completion == "False");
    }
  }
  CHECK(files == 27);
}

TEST_CASE("data/real: O-LoRA's tasks") {
  const fs::path folder = weft::test::shared_data("tasks/olora_cl");
  if (folder.empty()) return;
  struct Task {
    std::string name;
    size_t train, dev, choices;
  };
  for (const Task& task : {Task{"CB", 250, 56, 3}, Task{"COPA", 400, 100, 2}, Task{"RTE", 2000, 277, 2},
                           Task{"SST-2", 2000, 872, 2}, Task{"WiC", 2000, 638, 2}}) {
    INFO(task.name);
    for (const bool train : {true, false}) {
      const Examples got = read_examples(folder / task.name / (train ? "train.json" : "dev.json"));
      CHECK(got.kind == Kind::kChoice);
      CHECK(got.list.size() == (train ? task.train : task.dev));
      CHECK(std::all_of(got.list.begin(), got.list.end(),
                        [&](const auto& example) { return example.choices.size() == task.choices; }));
    }
  }
  const Examples copa = read_examples(folder / "COPA" / "dev.json");
  CHECK(copa.list[0].answer == 1);
  CHECK(copa.list[0].text.starts_with("Option: A, B \nWhich sentence is the effect of"));
  CHECK(copa.list[0].text.ends_with("\nB: Water flowed from the spout.\nAnswer:"));
}

TEST_CASE("data/real: the sets for text classification") {
  const fs::path folder = weft::test::shared_data("tasks/text_classification");
  if (folder.empty()) return;
  size_t sets = 0, train = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory()) continue;
    INFO(entry.path().filename().string());
    ++sets;
    std::set<std::string> labels;
    for (const std::string split : {"train", "validation", "test"}) {
      const Examples got = read_examples(entry.path() / (split + ".jsonl"));
      CHECK(got.kind == Kind::kLabel);
      CHECK(got.labels.size() >= 2);
      if (split == "train") {
        train += got.list.size();
        labels.insert(got.labels.begin(), got.labels.end());
      } else {
        CHECK(std::all_of(got.labels.begin(), got.labels.end(),
                          [&](const std::string& label) { return labels.contains(label); }));
      }
    }
    if (entry.path().filename() == "clinc150_intents") CHECK(labels.size() == 150);
  }
  CHECK(sets == 16);
  CHECK(train == 30676);
}
