#include "weft/flow/search.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

#include "io/json.h"
#include "support/error_text.h"
#include "support/temp_dir.h"
#include "support/zoo.h"
#include "support/zoo_search.h"
#include "weft/eval/evaluate.h"
#include "weft/flow/evaluate.h"
#include "weft/recipe/recipe.h"

namespace {

using weft::InputError;
using weft::UsageError;
using weft::flow::SearchJob;
using weft::flow::SearchReport;
using weft::test::error_text;
using weft::test::file_text;
using weft::test::is_stopped;
using weft::test::says;
using weft::test::TempDir;
using weft::test::zoo_search;

bool mentions(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts)
    if (!says(text, part)) {
      MESSAGE(text);
      return false;
    }
  return true;
}

/// The loss of an adapter on a job's examples, as `weft eval` finds it.
double evaluated_loss(const SearchJob& job, const std::filesystem::path& adapter) {
  weft::flow::EvaluateJob evaluating;
  evaluating.runtime = job.runtime;
  evaluating.runtime.adapters = {{adapter, "found"}};
  evaluating.data = job.data;
  evaluating.options.metrics = {"loss"};
  evaluating.options.append_end = true;  // as searches count it
  return weft::flow::run_evaluation(evaluating).report.metrics[0].value;
}

double rival(const SearchReport& report, const std::string& name) {
  for (const auto& entry : report.rivals)
    if (entry.name.rfind(name, 0) == 0) return entry.score;
  return std::nan("");
}

}  // namespace

TEST_CASE("flow/search: finds the pair that an unseen task is made of") {
  const TempDir dir;
  const SearchJob job = zoo_search("drop_json", dir / "out");
  const SearchReport report = weft::flow::search(job);
  CHECK(report.spent <= 200);
  CHECK(report.score < 0.1);
  CHECK(rival(report, "base") > 1.0);
  CHECK(rival(report, "uniform") > 1.0);
  CHECK(report.chosen == "found");
  // The written sum has rounded factors in float32 where the search weighed outputs: rounding only.
  CHECK(std::fabs(evaluated_loss(job, dir / "out") - report.score) < 1e-4);
  const weft::Value facts = weft::io::read_json(dir / "out" / "weft.json");
  const weft::Value* record = facts.find("search");
  REQUIRE(record != nullptr);
  CHECK(record->find("history")->list.size() == report.trials.size());
  CHECK(record->find("method")->scalar == "auto");
  CHECK_FALSE(std::filesystem::exists(dir / "out.journal"));
}

TEST_CASE("flow/search: every rule and granularity is written as it was scored") {
  for (const bool factors : {false, true})
    for (const auto granularity : {weft::search::Granularity::kAdapter, weft::search::Granularity::kLayerBlock,
                                   weft::search::Granularity::kKind, weft::search::Granularity::kBlockKind}) {
      const TempDir dir;
      SearchJob job = zoo_search("last_is", dir / "out");
      job.options.method = "random";
      job.options.budget = 3;
      job.options.rule = factors ? weft::nn::Rule::kFactors : weft::nn::Rule::kDelta;
      job.options.granularity = granularity;
      job.options.space.lower = 0.05, job.options.space.start = 0.5;  // nothing is left out
      const SearchReport report = weft::flow::search(job);
      CHECK(report.groups.size() == (granularity == weft::search::Granularity::kAdapter      ? 1
                                     : granularity == weft::search::Granularity::kLayerBlock ? 2
                                     : granularity == weft::search::Granularity::kKind       ? 7
                                                                                             : 14));
      CHECK(std::fabs(evaluated_loss(job, dir / "out") - report.score) < 1e-3 * std::max(1.0, report.score));
    }
}

TEST_CASE("flow/search: a stopped search goes on to the same bytes") {
  for (const char* method : {"auto", "screened", "lorahub", "cma_es"}) {
    const TempDir dir;
    SearchJob whole = zoo_search("first_json", dir / "whole");
    whole.options.method = method;
    const SearchReport once = weft::flow::search(whole);
    SearchJob parted = whole;
    parted.output = dir / "parted";
    REQUIRE(is_stopped(parted, 9));
    CHECK(std::filesystem::exists(dir / "parted.journal"));
    CHECK_FALSE(std::filesystem::exists(dir / "parted"));
    REQUIRE(is_stopped(parted, 27));
    std::ofstream(dir / "parted.journal", std::ios::app) << "{\"phase\":\"cut sh";  // killed while it wrote
    const SearchReport again = weft::flow::search(parted);
    CHECK(again.resumed > 0);
    CHECK(again.weights == once.weights);
    CHECK(file_text(dir / "parted" / "adapter_model.safetensors") ==
          file_text(dir / "whole" / "adapter_model.safetensors"));
    CHECK(file_text(dir / "parted" / "weft.json") == file_text(dir / "whole" / "weft.json"));
    CHECK_FALSE(std::filesystem::exists(dir / "parted.journal"));
  }
}

TEST_CASE("flow/search: a journal of another search, or a damaged one, is refused") {
  const TempDir dir;
  SearchJob job = zoo_search("first_json", dir / "out");
  job.options.method = "screened";
  REQUIRE(is_stopped(job, 9));
  SearchJob other = job;
  other.options.seed = 1;
  CHECK(
      mentions(error_text<InputError>([&] { weft::flow::search(other); }), {"out.journal", "other inputs or options"}));
  const std::string text = file_text(dir / "out.journal");
  std::ofstream(dir / "out.journal") << text.substr(0, text.find('\n') + 1) << "{\"phase\": 3}\n";
  CHECK(mentions(error_text<weft::FormatError>([&] { weft::flow::search(job); }), {"out.journal:2"}));
  std::string moved = text;
  const size_t number = moved.find('0', moved.find("\"point\""));
  REQUIRE(number != std::string::npos);
  moved[number] = '1';
  std::ofstream(dir / "out.journal") << moved;
  CHECK(mentions(error_text<InputError>([&] { weft::flow::search(job); }), {"out.journal", "evaluation 1"}));
}

TEST_CASE("flow/search: held-out examples choose, and a worse result is reported or replaced") {
  const TempDir dir;
  SearchJob job = zoo_search("first_upper", dir / "out");
  job.options.method = "random";
  job.options.budget = 2;
  job.options.validation = 0.4;
  job.options.space.fixed = {{"upper", -1.5}};  // every candidate is spoilt
  job.options.space.lower = -1.5, job.options.space.upper = -1.0, job.options.space.start = -1.2;
  const SearchReport report = weft::flow::search(job);
  CHECK(report.chosen == "found");
  REQUIRE(report.warnings.size() >= 1);
  CHECK(mentions(report.warnings[0], {"held-out", "better than"}));
  job.options.fallback = true;
  job.output = dir / "back";
  const SearchReport back = weft::flow::search(job);
  CHECK(back.chosen != "found");
  CHECK(back.rivals.size() == 4);
  for (const auto& entry : back.rivals) CHECK(entry.held_out.has_value());
  CHECK(weft::io::read_json(dir / "back" / "weft.json").find("search")->find("chosen")->scalar == back.chosen);
}

TEST_CASE("flow/search: patience ends a search whose held-out score no longer falls") {
  const TempDir dir;
  SearchJob job = zoo_search("drop_json", dir / "out");
  job.options.method = "random";
  job.options.budget = 200;
  job.options.validation = 0.3;
  job.options.patience = 5;
  const SearchReport report = weft::flow::search(job);
  CHECK(report.spent < 200);
}

TEST_CASE("flow/search: races find what whole evaluations find, in fewer of them") {
  const TempDir dir;
  SearchJob job = zoo_search("drop_json", dir / "out");
  job.options.method = "screened";
  job.options.budget = 120;
  const SearchReport whole = weft::flow::search(job);
  job.output = dir / "raced";
  job.options.race = 0.5;
  const SearchReport raced = weft::flow::search(job);
  CHECK(raced.score < whole.score + 0.1);
  const auto is_dropped = [](const weft::flow::SearchTrial& trial) { return trial.part == "dropped"; };
  CHECK(std::any_of(raced.trials.begin(), raced.trials.end(), is_dropped));
  CHECK(std::none_of(whole.trials.begin(), whole.trials.end(), is_dropped));
}

TEST_CASE("flow/search: a function of the user's own is minimised") {
  const TempDir dir;
  SearchJob job = zoo_search("drop_json", dir / "out");
  job.data.clear();
  job.options.method = "cma_es";
  job.options.budget = 200;
  job.custom = [](const weft::model::BaseModel&, const weft::text::Tokenizer&, const weft::model::Composition& at) {
    const weft::Tensor weights = at.mix.weights;
    double sum = 0;
    for (std::int64_t i = 0; i < 13; ++i) {
      const double wanted = i == 7 || i == 12 ? 1.0 : 0.0;
      const double off = static_cast<double>(weights.const_data_ptr<float>()[i]) - wanted;
      sum += off * off;
    }
    return sum;
  };
  const SearchReport report = weft::flow::search(job);
  CHECK(report.score < 0.5);  // 2 at the start
  CHECK(report.metric == "custom");
}

TEST_CASE("flow/search: pools of one, budgets of one and boxes without zero work") {
  const TempDir dir;
  SearchJob job = zoo_search("drop_json", dir / "one");
  job.runtime.adapters.resize(1);
  CHECK(weft::flow::search(job).weights.size() >= 1);
  job = zoo_search("drop_json", dir / "once");
  job.options.budget = 1;
  const SearchReport once = weft::flow::search(job);
  CHECK(once.trials.size() == 1);
  job = zoo_search("drop_json", dir / "box");
  job.options.space.lower = 0.2, job.options.space.upper = 1.0, job.options.space.start = 0.5;
  const SearchReport box = weft::flow::search(job);
  for (const double weight : box.weights) CHECK((weight >= 0.2 && weight <= 1.0));
}

TEST_CASE("flow/search: what cannot be searched is refused before anything is written") {
  const TempDir dir;
  const auto refused = [&](const auto& change) {
    SearchJob job = zoo_search("drop_json", dir / "out");
    change(job);
    const std::string said = error_text<weft::Error>([&] { weft::flow::search(job); });
    CHECK_FALSE(std::filesystem::exists(dir / "out"));
    CHECK_FALSE(std::filesystem::exists(dir / "out.journal"));
    return said;
  };
  CHECK(mentions(refused([](SearchJob& job) { job.options.budget = 0; }), {"budget of 0"}));
  CHECK(mentions(refused([](SearchJob& job) { job.runtime.adapters.clear(); }), {"no adapters"}));
  CHECK(mentions(refused([](SearchJob& job) { job.data.clear(); }), {"no examples"}));
  CHECK(mentions(refused([](SearchJob& job) { job.options.method = "screend"; }), {"screened"}));
  CHECK(mentions(refused([](SearchJob& job) { job.options.patience = 3; }), {"patience", "held-out"}));
  CHECK(mentions(refused([](SearchJob& job) { job.options.space.lower = 1.0, job.options.space.upper = 0.5; }),
                 {"bounds", "crossed"}));
  CHECK(mentions(refused([](SearchJob& job) { job.options.space.fixed = {{"revers", 1.0}}; }), {"reverse"}));
  CHECK(mentions(refused([](SearchJob& job) { job.options.objective.metric = "accuracy"; }), {"accuracy"}));
  CHECK(mentions(refused([](SearchJob& job) { job.options.space.start = 9.0; }), {"start"}));
  CHECK(mentions(refused([&](SearchJob& job) {
                   std::ofstream(dir / "empty.jsonl") << "";
                   job.data = dir / "empty.jsonl";
                 }),
                 {"empty.jsonl"}));
}

TEST_CASE("flow/search: a recipe becomes a job and back") {
  const TempDir dir;
  std::ofstream(dir / "r.yaml")
      << "base_model: base\n"
         "adapters: [{adapter: a, name: first}, {adapter: b}]\n"
         "method: lorahub\n"
         "examples: {data: few.jsonl, prompt: 'Q {input}'}\n"
         "search: {budget: 7, l1: 0.1, fixed: {first: 0.5}, tied: [[b, c]], start: {b: 0.2}}\n"
         "output: {path: out, rank: 4, dtype: float16}\n";
  const SearchJob job = weft::flow::load_search_recipe(dir / "r.yaml");
  CHECK(job.options.method == "lorahub");
  CHECK(job.options.rule == weft::nn::Rule::kFactors);
  CHECK(job.options.budget == 7);
  CHECK(job.options.l1 == 0.1);
  CHECK(job.options.space.fixed.at(0).second == 0.5);
  CHECK(job.options.space.tied.at(0).size() == 2);
  CHECK(job.options.objective.normalization == weft::eval::Normalization::kLoraHub);
  CHECK(job.rank == 4);
  CHECK(job.data == dir / "few.jsonl");
  const weft::Value first = weft::flow::to_recipe(job);
  std::ofstream(dir / "again.yaml") << weft::recipe::to_yaml(first);
  CHECK(weft::flow::to_recipe(weft::flow::load_search_recipe(dir / "again.yaml")).same_as(first));
  const auto said = [&](const char* text) {
    std::ofstream(dir / "bad.yaml") << text;
    return error_text<weft::RecipeError>([&] { weft::flow::load_search_recipe(dir / "bad.yaml"); });
  };
  CHECK(mentions(said("method: search\nsearch: {budgt: 3}\n"), {"bad.yaml:2:10", "budget"}));
  CHECK(mentions(said("method: lorahubb\n"), {"bad.yaml:1:9", "lorahub"}));
  CHECK(mentions(said("search: {budget: 0}\n"), {"bad.yaml:1:18", "budget"}));
  CHECK(mentions(said("search: {metric: acuracy}\n"), {"accuracy"}));
  CHECK(mentions(said("search: {tied: [[a]]}\n"), {"tied"}));
  CHECK(mentions(said("search: {}\noutput: {rank: 0}\n"), {"rank"}));
}

TEST_CASE("flow/search: a large pool is narrowed to what the examples ask for") {
  const TempDir dir;
  SearchJob job = zoo_search("drop_json", dir / "out");
  const std::vector<weft::adapter::Pool::Source> thirteen = job.runtime.adapters;
  // Sixty-five more of the same, of which none helps here.
  for (int copy = 0; copy < 13; ++copy)
    for (const char* name : {"sort", "swap", "dash", "is", "first"})
      job.runtime.adapters.push_back({thirteen[0].path.parent_path() / name, name + std::to_string(copy)});
  job.options.preselect = 6;
  job.options.budget = 60;
  for (const auto by : {weft::flow::Preselect::kGradient, weft::flow::Preselect::kAlone}) {
    CAPTURE(static_cast<int>(by));
    job.options.preselect_by = by;
    job.force = true;
    const SearchReport report = weft::flow::search(job);
    CHECK(report.adapters.size() == 6);
    CHECK(std::count(report.adapters.begin(), report.adapters.end(), "json") == 1);
  }
  job.options.preselect = 0;
  job.options.preselect_by = weft::flow::Preselect::kGradient;
  CHECK(weft::flow::search(job).adapters.size() == 64);
  job.options.preselect = 5;
  job.options.preselect_by = weft::flow::Preselect::kSimilarity;
  CHECK(mentions(error_text<UsageError>([&] { weft::flow::search(job); }), {"samples"}));
}
