// Trainings that are killed, run out of disk, or are given what cannot be trained.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "bad_input/process.h"
#include "cli/run_cli.h"
#include "support/error_text.h"
#include "support/id_model.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;
using weft::test::run_cli;
using weft::test::says;

/// A tiny Llama, examples, and the arguments of a training of some seconds at most.
struct TrainingPlace {
  weft::test::TempDir dir;
  std::string base = weft::test::write_id_model(dir / "base", "llama").string();
  std::string data = (dir / "train.jsonl").string();

  TrainingPlace() {
    std::string lines;
    for (int i = 3; i < 30; ++i)
      lines += "{\"prompt\": \"" + std::to_string(i) + " 4\", \"completion\": \"" + std::to_string(i + 1) + " 5\"}\n";
    weft::test::write_text(data, lines);
  }
  std::vector<std::string> arguments(const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {"train", "--base",    base, "--data",    data, "-o",
                                    out,     "--steps",   "60", "--batch",   "4",  "--save-every",
                                    "2",     "--threads", "1",  "--dropout", "0.1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  /// The first line of a refused run.
  std::string refused(int code, const std::vector<std::string>& more) const {
    const auto result = run_cli(arguments((dir / "refused").string(), more));
    CHECK(result.code == code);
    CHECK(result.err.starts_with("weft: error: "));
    CHECK(!fs::exists(dir / "refused"));
    return result.err;
  }
};

}  // namespace

#ifdef WEFT_BINARY
TEST_CASE("bad_input/training: killed at any moment, a training goes on to the same bytes") {
  const TrainingPlace place;
  const std::string whole = (place.dir / "whole").string(), broken = (place.dir / "broken").string();
  REQUIRE(weft::test::run_weft(place.arguments(whole), place.dir / "err").code == 0);
  bool killed = false;
  int runs = 0;
  for (useconds_t delay = 20000; runs < 40; delay += 17000, ++runs) {
    const pid_t pid = weft::test::start_weft(place.arguments(broken), place.dir / "err");
    ::usleep(delay + 250000);
    ::kill(pid, SIGKILL);
    const int code = weft::test::wait_for(pid);
    killed = killed || code == 128 + SIGKILL;
    CHECK((code == 128 + SIGKILL || code == 0));
    if (fs::exists(broken)) break;  // whole: it comes last, and the kill may have come still later
    CHECK(code == 128 + SIGKILL);
  }
  CHECK(killed);
  if (!fs::exists(broken)) REQUIRE(weft::test::run_weft(place.arguments(broken), place.dir / "err").code == 0);
  CHECK(weft::test::contents_of(whole) == weft::test::contents_of(broken));
}

TEST_CASE("bad_input/training: a full disk ends a training with its reason and no output") {
  const TrainingPlace place;
  const std::string out = (place.dir / "out").string();
  const auto small_files = [] {
    const rlimit limit{4096, 4096};
    ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
  };
  const auto result = weft::test::run_weft(place.arguments(out), place.dir / "err", small_files);
  CHECK(result.code == 1);
  CHECK(says(result.err, "weft: error: "));
  CHECK(!fs::exists(out));
  CHECK(weft::test::run_weft(place.arguments(out), place.dir / "err").code == 0);
  CHECK(!fs::exists(out + ".training"));
}
#endif

TEST_CASE("bad_input/training: examples that cannot be trained on are refused with their place") {
  const TrainingPlace place;
  // --data is given twice above.
  CHECK(says(place.refused(2, {"--data", "x"}), "more than once"));
  weft::test::write_text(place.data, "{\"prompt\": \"3\"}\n");
  CHECK(says(place.refused(3, {}), "train.jsonl:1"));
  weft::test::write_text(place.data, "{\"prompt\": \"3\", \"completion\": \"\"}\n");
  CHECK(says(place.refused(3, {}), "train.jsonl:1"));
  weft::test::write_text(place.data, "");
  CHECK(says(place.refused(3, {}), "train.jsonl"));
  weft::test::write_text(place.data, "{\"text\": \"3 4\", \"label\": \"5\"}\n");
  CHECK(says(place.refused(3, {}), "template"));
}

TEST_CASE("bad_input/training: flags and recipes that are wrong are told with the nearest word") {
  const TrainingPlace place;
  CHECK(says(place.refused(2, {"--learning-rat", "1"}), "--learning-rate"));
  CHECK(says(place.refused(2, {"--rank", "0"}), "--rank"));
  CHECK(says(place.refused(2, {"--schedule", "cosin"}), "cosine"));
  CHECK(says(place.refused(2, {"--targets", "q_prj"}), "q_proj"));
  CHECK(says(place.refused(2, {"--dtype", "float1"}), "float16"));
  CHECK(says(place.refused(2, {"--warmup", "60"}), "warmup"));
  CHECK(says(place.refused(2, {"--weights", "1"}), "--init"));
  CHECK(says(place.refused(2, {"--weights", "", "--init", "x"}), "--weights is empty"));
  CHECK(says(place.refused(2, {"--alpha", "1e300"}), "--alpha"));
  weft::test::write_text(place.dir / "recipe.yaml", "base_model: base\ntrain: {rnk: 4}\n");
  CHECK(says(place.refused(2, {(place.dir / "recipe.yaml").string()}), "recipe.yaml:2:9"));
  weft::test::write_text(place.dir / "recipe.yaml", "base_model: base\ntrian: {rank: 4}\n");
  const std::string misspelt = place.refused(2, {(place.dir / "recipe.yaml").string()});
  CHECK(says(misspelt, "recipe.yaml:2:1"));
  CHECK(says(misspelt, "did you mean 'train'"));
  weft::test::write_text(place.dir / "recipe.yaml", "train: {label_template: name}\n");
  CHECK(says(place.refused(2, {(place.dir / "recipe.yaml").string()}), "recipe.yaml:1:25"));
  weft::test::write_text(place.dir / "recipe.yaml", "train:\noutput: {path: made, dtype: float64}\n");
  CHECK(says(place.refused(2, {(place.dir / "recipe.yaml").string()}), "recipe.yaml:2:29"));
  CHECK(says(run_cli({"train"}).err, "--base"));
}

TEST_CASE("bad_input/training: options that would be ignored are refused") {
  const TrainingPlace place;
  CHECK(says(place.refused(2, {"--patience", "3"}), "validation"));
  CHECK(says(place.refused(2, {"--eval-every", "3"}), "validation"));
  CHECK(says(place.refused(2, {"--temperature", "1"}), "similarity"));
  CHECK(says(place.refused(2, {"--schedule", "constant", "--hold", "0.5"}), "constant"));
}

TEST_CASE("bad_input/training: no output deletes what it is made of, and a hopeless one is told at once") {
  const TrainingPlace place;
  // The folder of base and examples passes for one that Weft wrote.
  weft::test::write_text(place.dir / "weft.json", "{}");
  const auto holding = run_cli(place.arguments(place.dir.path().string(), {"--force"}));
  CHECK(holding.code == 2);
  CHECK(says(holding.err, "would replace an input"));
  CHECK(fs::exists(place.data));
  const std::string adapter = (place.dir / "adapter").string();
  REQUIRE(run_cli(place.arguments(adapter, {"-q"})).code == 0);
  const auto itself = run_cli(place.arguments(adapter, {"--force", "--init", adapter}));
  CHECK(itself.code == 2);
  CHECK(says(itself.err, "would replace an input"));
  fs::create_directories(place.dir / "diary");
  weft::test::write_text(place.dir / "diary" / "monday.txt", "rain");
  const auto foreign = run_cli(place.arguments((place.dir / "diary").string(), {"--force"}));
  CHECK(foreign.code == 2);
  CHECK(says(foreign.err, "refusing to delete"));
  CHECK(!fs::exists(place.dir / "diary.training"));
}

TEST_CASE("bad_input/training: a recipe says what flags say") {
  const TrainingPlace place;
  weft::test::write_text(place.dir / "recipe.yaml",
                         "base_model: base\nexamples: {data: train.jsonl}\ntrain: {steps: 3, rank: 2, batch: 4}\n"
                         "output: {path: made}\n");
  const std::string recipe = (place.dir / "recipe.yaml").string();
  const auto first = run_cli({"compose", recipe, "--threads", "1", "-q"});
  CHECK_MESSAGE(first.code == 0, first.err);
  const auto printed = run_cli({"train", recipe, "--print-recipe"});
  CHECK(says(printed.out, "rank: 2"));
  const auto second = run_cli({"train", "--base", place.base, "--data", place.data, "--steps", "3", "--rank", "2",
                               "--batch", "4", "--threads", "1", "-q", "-o", (place.dir / "flags").string()});
  CHECK_MESSAGE(second.code == 0, second.err);
  const auto made = weft::test::contents_of(place.dir / "made"), flags = weft::test::contents_of(place.dir / "flags");
  REQUIRE(made.size() == flags.size());
  for (size_t i = 0; i < made.size(); ++i)
    if (made[i].first == "adapter_model.safetensors") CHECK(made[i].second == flags[i].second);
}

TEST_CASE("bad_input/training: the weights of a small model are drawn, trained and opened again") {
  const TrainingPlace place;
  fs::remove(fs::path(place.base) / "model.safetensors");
  const std::string out = (place.dir / "model").string();
  const auto result = run_cli(place.arguments(out, {"--all-weights", "--from-scratch", "--seed", "3"}));
  // Dropout is an adapter's.
  CHECK(result.code == 2);
  std::vector<std::string> arguments = place.arguments(out, {"--all-weights", "--from-scratch", "--seed", "3"});
  arguments.erase(arguments.end() - 6, arguments.end() - 4);
  const auto trained = run_cli(arguments);
  CHECK_MESSAGE(trained.code == 0, trained.err);
  CHECK(run_cli({"eval", "--base", out, "--data", place.data, "-q"}).code == 0);
}
