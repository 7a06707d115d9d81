// Searches that are disturbed, asked for odd things, or given odd files.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

#include "flow/search_journal.h"
#include "io/json.h"
#include "support/error_text.h"
#include "support/golden_models.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "support/tiny_tokenizer.h"
#include "support/zoo.h"
#include "support/zoo_search.h"
#include "weft/adapter/adapter.h"
#include "weft/flow/search.h"

namespace {

namespace fs = std::filesystem;
using weft::InputError;
using weft::UsageError;
using weft::flow::SearchJob;
using weft::flow::SearchReport;
using weft::test::error_text;
using weft::test::file_text;
using weft::test::says;
using weft::test::TempDir;
using weft::test::write_text;
using weft::test::zoo_search;

/// Three adapters, few evaluations.
SearchJob quick_search(const fs::path& output, std::int64_t budget = 12) {
  SearchJob job = zoo_search("drop_json", output);
  job.runtime.adapters = {job.runtime.adapters[7], job.runtime.adapters[9], job.runtime.adapters[12]};
  job.options.method = "screened";
  job.options.budget = budget;
  return job;
}

void stop_after(const SearchJob& job, std::int64_t evaluations) { REQUIRE(weft::test::is_stopped(job, evaluations)); }

bool same_result(const fs::path& a, const fs::path& b) {
  return file_text(a / "adapter_model.safetensors") == file_text(b / "adapter_model.safetensors") &&
         file_text(a / "weft.json") == file_text(b / "weft.json");
}

}  // namespace

TEST_CASE("flow/search_hostile: a journal cut at any place leads to the same bytes") {
  const TempDir dir;
  const SearchJob whole = quick_search(dir / "whole");
  weft::flow::search(whole);
  const SearchJob job = quick_search(dir / "out");
  stop_after(job, 6);
  const std::string journal = file_text(dir / "out.journal");
  REQUIRE(journal.size() > 300);
  for (size_t size = 0; size <= journal.size(); size += 1 + journal.size() / 23) {
    CAPTURE(size);
    write_text(dir / "out.journal", journal.substr(0, size));
    weft::flow::search(job);
    CHECK(same_result(dir / "out", dir / "whole"));
    CHECK_FALSE(fs::exists(dir / "out.journal"));
    fs::remove_all(dir / "out");
  }
}

TEST_CASE("flow/search_hostile: a race that was stopped goes on to the same bytes") {
  const TempDir dir;
  const auto race = [&](const char* name) {
    SearchJob job = zoo_search("drop_json", dir / name);
    job.options.method = "screened";
    job.options.budget = 80;
    job.options.race = 0.4;
    job.options.validation = 0.3;
    return job;
  };
  const SearchReport whole = weft::flow::search(race("whole"));
  for (const std::int64_t after : {14, 40, 60}) {
    CAPTURE(after);
    stop_after(race("out"), after);
    weft::flow::search(race("out"));
    CHECK(same_result(dir / "out", dir / "whole"));
    fs::remove_all(dir / "out");
  }
  // What was dropped has a guess for a score and no held-out one: it is said, and never chosen.
  size_t dropped = 0;
  for (const auto& trial : whole.trials) {
    if (trial.part == "dropped") ++dropped;
    CHECK(trial.held_out.has_value() == trial.part.empty());
  }
  CHECK(dropped > 0);
  CHECK(whole.trials[whole.found].part.empty());
  for (const auto& rival : whole.rivals) CHECK(rival.held_out.has_value());
}

TEST_CASE("flow/search_hostile: a damaged journal is refused with its place and what to do") {
  const TempDir dir;
  const SearchJob job = quick_search(dir / "out");
  stop_after(job, 6);
  const std::string journal = file_text(dir / "out.journal");
  const size_t second = journal.find('\n') + 1;
  const auto refused = [&](const std::string& text) {
    write_text(dir / "out.journal", text);
    const std::string said = error_text<weft::Error>([&] { weft::flow::search(job); });
    CHECK_FALSE(fs::exists(dir / "out"));
    CHECK(file_text(dir / "out.journal") == text);  // nothing of it is lost
    return said;
  };
  std::string broken = journal;
  broken[second + 1] = '!';
  const std::string said = refused(broken);
  CHECK(says(said, "out.journal:2"));
  CHECK(says(said, "delete it to begin anew"));
  CHECK(says(refused(journal.substr(0, second) + "{\"phase\": \"x\"}\n"), "without a score"));
  CHECK(says(refused("a shopping list"), "no journal of a search"));
  CHECK(says(refused("milk\neggs\n"), "out.journal:1"));
  // A line is missing: what follows was never asked for.
  CHECK(says(refused(journal.substr(0, second) + journal.substr(journal.find('\n', second) + 1)), "evaluation 1"));
  SearchJob other = job;
  other.options.seed = 5;
  write_text(dir / "out.journal", journal);
  CHECK(says(error_text<InputError>([&] { weft::flow::search(other); }), "other inputs or options"));
  fs::remove(dir / "out.journal");
  fs::create_directory(dir / "out.journal");
  CHECK(says(error_text<InputError>([&] { weft::flow::search(job); }), "is a folder"));
}

TEST_CASE("flow/search_hostile: a journal without evaluations stands in nobody's way") {
  const TempDir dir;
  SearchJob job = quick_search(dir / "out");
  job.runtime.adapters.resize(1);
  job.options.method = "bobyqa";  // refused when it begins
  CHECK_THROWS_AS(weft::flow::search(job), UsageError);
  CHECK_FALSE(fs::exists(dir / "out.journal"));
  write_text(dir / "out.journal", "{\"weft_search\":1,\"job\":\"another\"}\n");
  weft::flow::search(quick_search(dir / "out"));
  CHECK(fs::exists(dir / "out"));
  CHECK_FALSE(fs::exists(dir / "out.journal"));
}

TEST_CASE("flow/search_hostile: two searches cannot write one output at once") {
  const TempDir dir;
  const SearchJob job = quick_search(dir / "out");
  stop_after(job, 4);
  const std::string journal = file_text(dir / "out.journal");
  const int other = ::open((dir / "out.journal").c_str(), O_RDWR);
  REQUIRE(other >= 0);
  REQUIRE(::flock(other, LOCK_EX | LOCK_NB) == 0);
  CHECK(says(error_text<UsageError>([&] { weft::flow::search(job); }), "another search"));
  CHECK(file_text(dir / "out.journal") == journal);
  ::close(other);
  CHECK(weft::flow::search(job).resumed > 0);
}

TEST_CASE("flow/search_hostile: an output that ends with a slash has its journal beside it") {
  const TempDir dir;
  SearchJob job = quick_search(dir / "out");
  job.output = job.output.string() + "/";
  stop_after(job, 4);
  CHECK(fs::exists(dir / "out.journal"));
  CHECK_FALSE(fs::exists(dir / "out"));
  weft::flow::search(job);
  CHECK(fs::exists(dir / "out" / "adapter_config.json"));
  CHECK(weft::flow::journal_path("a/b/") == "a/b.journal");
  CHECK(weft::flow::journal_path("b") == "b.journal");
}

TEST_CASE("flow/search_hostile: an output that cannot be written is refused before the search") {
  const TempDir dir;
  SearchJob job = quick_search(dir / "out");
  job.force = true;
  write_text(dir / "out" / "diary.txt", "not an adapter");
  stop_after(quick_search(dir / "elsewhere"), 4);  // a search that begins is heard of
  weft::test::StoppingLog log(0);
  CHECK(says(error_text<UsageError>([&] { weft::flow::search(job, log); }), "refusing to delete"));
  CHECK(file_text(dir / "out" / "diary.txt") == "not an adapter");
}

TEST_CASE("flow/search_hostile: patience counts held-out scores, not parts of the examples") {
  const TempDir dir;
  SearchJob job = zoo_search("drop_json", dir / "out");
  job.options.budget = 200;  // four paths over parts after four scores
  job.options.validation = 0.3;
  job.options.patience = 3;
  const SearchReport report = weft::flow::search(job);
  size_t parts = 0;
  for (const auto& trial : report.trials) parts += !trial.part.empty();
  CHECK(parts > 20);
  CHECK(report.score < 0.2);
}

TEST_CASE("flow/search_hostile: adapters that replace tensors of the base must be fixed") {
  const TempDir dir;
  fs::copy(quick_search("x").runtime.adapters[2].path, dir / "whole", fs::copy_options::recursive);
  const auto source = weft::adapter::Adapter::open(dir / "whole");
  weft::test::NamedTensors tensors;
  for (const std::string& key : source.keys()) tensors.emplace_back(key, source.load_key(key));
  tensors.emplace_back("base_model.model.model.norm.weight", at::ones({128}));
  std::string config = file_text(dir / "whole" / "adapter_config.json");
  const size_t none = config.find("\"modules_to_save\": null");
  REQUIRE(none != std::string::npos);
  config.replace(none, 23, "\"modules_to_save\": [\"norm\"]");
  weft::test::write_peft(dir / "whole", config, tensors);
  SearchJob job = quick_search(dir / "out");
  job.runtime.adapters.push_back({dir / "whole", "whole"});
  const std::string said = error_text<UsageError>([&] { weft::flow::search(job); });
  CHECK(says(said, "'whole' replaces"));
  CHECK(says(said, "fixed: whole=1"));
  CHECK_FALSE(fs::exists(dir / "out.journal"));
  job.options.space.fixed = {{"whole", 1.0}};
  const SearchReport report = weft::flow::search(job);
  for (const auto& rival : report.rivals) CHECK(rival.name != "uniform");
  CHECK(fs::exists(dir / "out"));
}

TEST_CASE("flow/search_hostile: classification heads know their labels by themselves") {
  const TempDir dir;
  fs::create_directories(dir / "base");
  for (const char* file : {"config.json", "model.safetensors"})
    fs::copy(weft::test::golden_models() / "bert" / file, dir / "base" / file);
  weft::test::write_tiny_tokenizer(dir / "base");
  SearchJob job;
  job.runtime.base = dir / "base";
  job.runtime.threads = 1;
  at::manual_seed(3);
  for (const char* name : {"one", "two"}) {
    weft::test::NamedTensors tensors;
    weft::test::add_pair(tensors, "bert.encoder.layer.1.attention.self.value", 24, 24, 2);
    job.runtime.adapters.push_back(
        {weft::test::write_peft(dir / name, R"({"peft_type":"LORA","r":2,"lora_alpha":2,"target_modules":["value"]})",
                                tensors),
         name});
  }
  job.output = dir / "out";
  job.options.budget = 30;
  const auto labelled = [&](const std::string& text) { write_text(job.data = dir / "few.jsonl", text); };
  labelled("{\"text\":\"abc\",\"label\":\"yes\"}\n{\"text\":\"xyz\",\"label\":\"no\"}\n");
  CHECK(weft::flow::search(job).score < 2.0);
  job.output = dir / "single";  // a head knows of the other classes; one of them is a task as well
  labelled("{\"text\":\"abc\",\"label\":\"yes\"}\n{\"text\":\"xyz\",\"label\":\"yes\"}\n");
  CHECK(std::isfinite(weft::flow::search(job).score));
  job.output = dir / "refused";
  labelled("{\"text\":\"abc\",\"label\":\"perhaps\"}\n");
  CHECK(says(error_text<weft::Error>([&] { weft::flow::search(job); }), "few.jsonl:1: unknown label 'perhaps'"));
  std::string letters;
  for (int i = 0; i < 50; ++i) letters += "ab";
  labelled("{\"text\":\"" + letters + "\",\"label\":\"yes\"}\n");
  CHECK(says(error_text<weft::Error>([&] { weft::flow::search(job); }), "positions for 40"));
  CHECK_FALSE(fs::exists(dir / "refused"));
}

TEST_CASE("flow/search_hostile: options that would change nothing are refused") {
  const TempDir dir;
  const auto refused = [&](const auto& change) {
    SearchJob job = zoo_search("drop_json", dir / "out");
    change(job.options);
    return error_text<UsageError>([&] { weft::flow::search(job); });
  };
  using weft::flow::SearchOptions;
  CHECK(says(refused([](SearchOptions& o) { o.optimizer.learning_rate = 0.1; }), "method gradient"));
  CHECK(says(refused([](SearchOptions& o) { o.race = 0.5; }), "auto"));
  CHECK(says(refused([](SearchOptions& o) {
               o.method = "cma_es";
               o.race = 0.5;
               o.objective.metric = "exact_match";
             }),
             "exact_match"));
  CHECK(says(refused([](SearchOptions& o) {
               o.method = "cma_es";
               o.space.layer_blocks = 2;
             }),
             "layer_block"));
}

TEST_CASE("flow/search_hostile: preselection keeps what is named, and killed runs are no adapters") {
  const TempDir dir;
  SearchJob job = zoo_search("drop_json", dir / "out");
  job.options.method = "random";
  job.options.budget = 2;
  job.options.preselect = 2;
  job.options.space.fixed = {{"reverse", 0.25}};
  job.options.space.starts = {{"sort", 0.5}};
  const SearchReport report = weft::flow::search(job);
  CHECK(report.adapters.size() >= 3);
  CHECK(report.adapters.front() == "reverse");
  CHECK(report.weights.front() == 0.25);
  fs::create_directory(dir / "pool");
  for (const char* name : {"json", ".json.weft-1"})
    fs::copy(job.runtime.adapters[12].path, dir / "pool" / name, fs::copy_options::recursive);
  CHECK(weft::flow::pool_folder(dir / "pool").size() == 1);
}

TEST_CASE("flow/search_hostile: functions of the user's own may throw, give no numbers, and are called one at a time") {
  const TempDir dir;
  SearchJob job = quick_search(dir / "out", 60);
  job.data.clear();
  job.options.method = "cma_es";
  job.options.jobs = 4;
  std::atomic<int> inside = 0, most = 0, calls = 0;
  job.custom = [&](const auto&, const auto&, const weft::model::Composition& at) {
    most = std::max(most.load(), ++inside);
    std::this_thread::yield();
    --inside;
    const float first = at.mix.weights.template const_data_ptr<float>()[0];
    return ++calls % 3 == 0 ? std::nan("") : static_cast<double>((first - 0.5f) * (first - 0.5f));
  };
  const SearchReport report = weft::flow::search(job);
  CHECK(most == 1);
  CHECK(std::isfinite(report.score));
  job.output = dir / "none";
  job.custom = [](const auto&, const auto&, const auto&) { return std::nan(""); };
  CHECK(says(error_text<InputError>([&] { weft::flow::search(job); }), "had a finite score"));
  job.output = dir / "thrown";
  job.custom = [](const auto&, const auto&, const auto&) -> double { throw std::logic_error("mine"); };
  CHECK_THROWS_AS(weft::flow::search(job), std::logic_error);
  CHECK_FALSE(fs::exists(dir / "thrown"));
  CHECK_FALSE(fs::exists(dir / "thrown.journal"));
}
