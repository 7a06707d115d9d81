#include <ATen/ATen.h>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "bad_input/process.h"
#include "cli/run_cli.h"
#include "core/staged.h"
#include "io/json.h"
#include "support/error_text.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "weft/flow/search.h"
#include "weft/search/optimizer.h"

namespace {

using weft::Value;
using weft::test::CliResult;
using weft::test::run_cli;
using weft::test::says;
using weft::test::TempDir;

std::string in_zoo(const std::string& name) { return std::string(WEFT_SOURCE_DIR "/recipes/zoo/") + name; }

/// Three adapters of the zoo, two of which the task needs, ten examples.
std::vector<std::string> small_search(const std::string& out, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"search",
                                        "--base",
                                        in_zoo("base"),
                                        "--adapter",
                                        in_zoo("adapters/drop"),
                                        "--adapter",
                                        in_zoo("adapters/json"),
                                        "--adapter",
                                        in_zoo("adapters/upper"),
                                        "--examples",
                                        in_zoo("data/drop_json/few.jsonl"),
                                        "--budget",
                                        "8",
                                        "--threads",
                                        "1",
                                        "-o",
                                        out};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Value record_of(const std::filesystem::path& adapter) {
  const Value* search = nullptr;
  static Value whole;
  whole = weft::io::read_json(adapter / "weft.json");
  search = whole.find("search");
  REQUIRE(search != nullptr);
  return *search;
}

/// The first line of what a refused search says.
std::string refused_search(const std::vector<std::string>& arguments, int code) {
  const CliResult result = run_cli(arguments);
  CHECK(result.code == code);
  CHECK(result.out.empty());
  return result.err.substr(0, result.err.find('\n'));
}

}  // namespace

TEST_CASE("cli/search: finds, reports and writes one adapter, which inspect shows") {
  const TempDir dir;
  const std::string out = (dir / "found").string();
  const CliResult result = run_cli(small_search(out, {"--method", "screened"}));
  REQUIRE_MESSAGE(result.code == 0, result.err);
  for (const char* part : {"wrote ", "search by screened, 8 of 8 evaluations on few.jsonl", "adapter", "weight", "drop",
                           "json", "upper", "composition", "loss", "base", "best single", "uniform", "found"})
    CHECK_MESSAGE(says(result.out, part), std::string(part));
  CHECK(!says(result.out, "held out"));
  CHECK(!std::filesystem::exists(out + ".journal"));

  const Value record = record_of(out);
  CHECK(record.find("method")->scalar == "screened");
  CHECK(record.find("weights")->map.size() == 3);
  CHECK(record.find("history")->list.size() == 8);
  CHECK(record.find("comparison")->list.size() == 4);

  const CliResult shown = run_cli({"inspect", out});
  CHECK(shown.code == 0);
  CHECK(says(shown.out, "search by screened, 8 of 8 evaluations on few.jsonl"));
  CHECK(says(shown.out, "best single"));
  const Value json = weft::io::parse_json(run_cli({"inspect", out, "--json"}).out, "inspect");
  const Value* again = json.find("adapters")->list.front().find("search");
  REQUIRE(again != nullptr);
  CHECK(again->same_as(record));
  // Adapters that nobody searched for have no such part.
  const Value plain = weft::io::parse_json(run_cli({"inspect", in_zoo("adapters/drop"), "--json"}).out, "inspect");
  CHECK(plain.find("adapters")->list.front().find("search") == nullptr);
}

TEST_CASE("cli/search: groups of modules have a column each, held-out examples too, and metrics their own sign") {
  const TempDir dir;
  const std::string out = (dir / "found").string();
  const CliResult result = run_cli(small_search(out, {"--granularity", "layer_block", "--layer-blocks", "2", "--method",
                                                      "random", "--validation", "0.4", "--metric", "exact_match"}));
  REQUIRE_MESSAGE(result.code == 0, result.err);
  for (const char* part : {"layer 0", "layer 1", "exact_match", "held out", "best single"})
    CHECK_MESSAGE(says(result.out, part), std::string(part));
  CHECK(!says(result.out.substr(result.out.find("exact_match")), "-"));
  CHECK(run_cli({"inspect", out}).out.find(result.out.substr(result.out.find("  adapter"))) != std::string::npos);
}

TEST_CASE("cli/search: JSON, quiet, and the same bytes again") {
  const TempDir dir;
  const std::string first = (dir / "first").string(), second = (dir / "second").string();
  const CliResult json = run_cli(small_search(first, {"--json", "--seed", "3"}));
  REQUIRE_MESSAGE(json.code == 0, json.err);
  const Value report = weft::io::parse_json(json.out, "out");
  CHECK(report.find("output")->scalar == first);
  CHECK(report.find("search")->same_as(record_of(first)));
  for (const char* key : {"resumed", "seconds", "warnings"}) CHECK(report.find(key) != nullptr);

  const CliResult quiet = run_cli(small_search(second, {"-q", "--seed", "3"}));
  CHECK(quiet.code == 0);
  CHECK(quiet.out.empty());
  CHECK(quiet.err.empty());
  CHECK(weft::test::contents_of(first) == weft::test::contents_of(second));
}

TEST_CASE("cli/search: a flag for every option, a row for every method") {
  const std::string help = run_cli({"search", "--help"}).out;
  for (const weft::flow::SearchOption& option : weft::flow::search_options()) {
    std::string flag = "--" + option.field.name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    CHECK_MESSAGE(says(help, flag), flag);
  }
  for (const weft::search::Method& method : weft::search::methods())
    CHECK_MESSAGE(says(help, method.name), method.name);
  for (const char* flag : {"--label-template", "--stop", "--max-tokens", "--population-tokens"})
    CHECK_MESSAGE(says(help, flag), std::string(flag));
}

TEST_CASE("cli/search: flags of every shape arrive, and the recipe says them back") {
  const TempDir dir;
  const std::vector<std::string> flags = {"--method",
                                          "cma_es",
                                          "--lower",
                                          "-0.5",
                                          "--upper",
                                          "1.25",
                                          "--start",
                                          "drop=0.5,json=-0.25",
                                          "--fixed",
                                          "upper=-1e-1",
                                          "--granularity",
                                          "layer_block",
                                          "--layer-blocks",
                                          "2",
                                          "--rule",
                                          "factors",
                                          "--metric",
                                          "perplexity",
                                          "--l2",
                                          "0.125",
                                          "--prior",
                                          "0",
                                          "--validation",
                                          "0.4",
                                          "--patience",
                                          "5",
                                          "--fallback",
                                          "--max-new-tokens",
                                          "9",
                                          "--stop",
                                          "a,b",
                                          "--stop",
                                          "c",
                                          "--rank",
                                          "6",
                                          "--force"};
  std::vector<std::string> arguments = small_search("out/x", flags);
  arguments.push_back("--print-recipe");
  const CliResult printed = run_cli(arguments);
  REQUIRE_MESSAGE(printed.code == 0, printed.err);
  weft::test::write_text(dir / "recipe.yaml", printed.out);
  const weft::flow::SearchJob job = weft::flow::load_search_recipe(dir / "recipe.yaml");
  const weft::flow::SearchOptions& o = job.options;
  CHECK(o.method == "cma_es");
  CHECK(o.budget == 8);
  CHECK(o.space.lower == -0.5);
  CHECK(o.space.upper == 1.25);
  CHECK(o.space.starts == std::vector<std::pair<std::string, double>>{{"drop", 0.5}, {"json", -0.25}});
  CHECK(o.space.fixed == std::vector<std::pair<std::string, double>>{{"upper", -0.1}});
  CHECK(o.granularity == weft::search::Granularity::kLayerBlock);
  CHECK(o.space.layer_blocks == 2);
  CHECK(o.rule == weft::nn::Rule::kFactors);
  CHECK(o.objective.metric == "perplexity");
  CHECK(o.l2 == 0.125);
  CHECK(o.prior == 0.0);
  CHECK(o.validation == 0.4);
  CHECK(o.patience == 5);
  CHECK(o.fallback);
  CHECK(o.objective.eval.max_new_tokens == 9);
  CHECK(o.objective.eval.stop == std::vector<std::string>{"a,b", "c"});
  CHECK(job.rank == 6);
  CHECK(job.force);
  CHECK(job.runtime.adapters.size() == 3);
  // Flags win over the recipe.
  const CliResult changed =
      run_cli({"search", (dir / "recipe.yaml").string(), "--budget", "9", "--no-fallback", "--print-recipe"});
  CHECK(says(changed.out, "budget: 9"));
  CHECK(!says(changed.out, "fallback"));
  CHECK(says(changed.out, "layer_blocks: 2"));
}

TEST_CASE("cli/search: --pool takes every adapter of a folder, --adapter adds to it, --lorahub is a preset") {
  const CliResult printed =
      run_cli({"search", "--base", in_zoo("base"), "--pool", in_zoo("adapters"), "--adapter", "more=x/y", "--examples",
               "few.jsonl", "--lorahub", "--budget", "20", "-o", "out/x", "--print-recipe"});
  REQUIRE_MESSAGE(printed.code == 0, printed.err);
  const TempDir dir;
  weft::test::write_text(dir / "recipe.yaml", printed.out);
  const weft::flow::SearchJob job = weft::flow::load_search_recipe(dir / "recipe.yaml");
  REQUIRE(job.runtime.adapters.size() > 10);
  CHECK(job.runtime.adapters.back().name == "more");
  std::vector<std::string> names;
  for (const auto& source : job.runtime.adapters) names.push_back(source.name);
  names.pop_back();
  CHECK(std::is_sorted(names.begin(), names.end()));
  CHECK(job.options.method == "lorahub");
  CHECK(job.options.rule == weft::nn::Rule::kFactors);
  CHECK(job.options.l1 == 0.05);
  CHECK(job.options.objective.normalization == weft::eval::Normalization::kLoraHub);
  CHECK(job.options.budget == 20);
}

TEST_CASE("cli/search: compose runs a recipe that searches") {
  const TempDir dir;
  const std::string text = "base_model: " + in_zoo("base") + "\nadapters:\n  - adapter: " + in_zoo("adapters/drop") +
                           "\n  - adapter: " + in_zoo("adapters/json") +
                           "\nexamples: {data: " + in_zoo("data/drop_json/few.jsonl") + "}\n";
  const std::string recipe = (dir / "recipe.yaml").string();
  for (const char* part : {"search: {budget: 5}\n", "method: lorahub\nsearch: {budget: 5}\n"}) {
    CAPTURE(std::string(part));
    weft::test::write_text(recipe, text + part);
    const std::string out = (dir / "out").string();
    const CliResult result = run_cli({"compose", recipe, "-o", out, "--force", "--threads", "1"});
    REQUIRE_MESSAGE(result.code == 0, result.err);
    CHECK(says(result.out, "5 of 5 evaluations"));
    CHECK(says(result.out, "rule factors") == says(part, "lorahub"));
  }
  CHECK(says(refused_search({"compose", recipe, "--dry-run"}, 2), "this one searches"));
  weft::test::write_text(recipe, text + "search: {bugdet: 5}\n");
  CHECK(says(refused_search({"compose", recipe, "-o", (dir / "y").string()}, 2), "budget"));
}

TEST_CASE("cli/search: what is wrong is named, with the right exit code") {
  const TempDir dir;
  const std::string out = (dir / "out").string();
  CHECK(says(refused_search({"search"}, 2), "no base model"));
  CHECK(says(refused_search({"search", "--base", in_zoo("base"), "-o", out}, 2), "no adapters"));
  CHECK(says(refused_search(small_search(out, {"--budegt", "3"}), 2), "did you mean '--budget'?"));
  CHECK(says(refused_search(small_search(out, {"--method", "cmaes"}), 2), "--method"));
  CHECK(says(refused_search(small_search(out, {"--metric", "los"}), 2), "loss"));
  CHECK(says(refused_search(small_search(out, {"--step", "2"}), 2), "--step"));
  CHECK(says(refused_search(small_search(out, {"--rank", "0"}), 2), "--rank"));
  CHECK(says(refused_search(small_search(out, {"--dtype", "float23"}), 2), "float23"));
  CHECK(says(refused_search(small_search(out, {"--fixed", "dorp=1"}), 2), "drop"));
  CHECK(says(refused_search(small_search(out, {"--patience", "3"}), 2), "patience"));
  std::vector<std::string> none = small_search(out);
  std::replace(none.begin(), none.end(), std::string("8"), std::string("0"));
  CHECK(says(refused_search(none, 2), "budget"));

  weft::test::write_text(dir / "bad.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": 3}\n");
  std::vector<std::string> bad = small_search(out);
  for (std::string& text : bad)
    if (text.ends_with("few.jsonl")) text = (dir / "bad.jsonl").string();
  CHECK(says(refused_search(bad, 3), "bad.jsonl:2"));
  std::filesystem::create_directories(dir / "empty");
  CHECK(says(refused_search({"search", "--base", in_zoo("base"), "--pool", (dir / "empty").string(), "-o", out}, 3),
             "no folder in it holds an adapter"));
  CHECK(!std::filesystem::exists(out));
}

TEST_CASE("cli/search: inspect bears a weft.json that is damaged or strange") {
  const TempDir dir;
  const std::filesystem::path adapter = dir / "a";
  std::filesystem::copy(in_zoo("adapters/drop"), adapter);
  for (const char* text :
       {"{", "[]", "{\"search\": 3}", "{\"search\": {}}", "{\"search\": {\"weights\": {\"a\": \"x\"}}}",
        "{\"search\": {\"weights\": {\"a\": 1}, \"comparison\": [{}]}}",
        "{\"search\": {\"weights\": {\"a\": 1}, \"comparison\": [{\"score\": []}]}}",
        "{\"search\": {\"groups\": [], \"weights\": {\"g\": {\"a\": 1}, \"h\": {\"b\": 1}}, \"comparison\": []}}",
        "{\"search\": {\"budget\": \"many\", \"weights\": {\"a\\u001b\": 1}, \"comparison\": []}}"}) {
    CAPTURE(std::string(text));
    weft::test::write_text(adapter / "weft.json", text);
    const CliResult result = run_cli({"inspect", adapter.string(), "--headers"});
    CHECK(result.code == 0);
    CHECK(!says(result.out, "\x1b"));
    CHECK(says(result.err, "weft.json") == (std::string(text) == "{"));
    CHECK(run_cli({"inspect", adapter.string(), "--headers", "--json"}).code == 0);
  }
}

TEST_CASE("cli/search: two ranks under torchrun find the same bytes as one process") {
  const TempDir dir;
  const std::string log = (dir / "log").string(), alone = (dir / "alone" / "out").string();
  const auto command = [](const std::vector<std::string>& arguments) {
    std::string out = "'" + std::string(WEFT_BINARY) + "'";
    for (const std::string& text : arguments) out += " '" + text + "'";
    return out;
  };
  const std::string both = (dir / "both" / "out").string();
  const std::string ranks = fmt::format("'{}/tools/torchrun' --standalone --nproc-per-node=2 {} >'{}' 2>&1",
                                        WEFT_SOURCE_DIR, command(small_search(both)), log);
  const int status = std::system(ranks.c_str());
  const std::string said = weft::read_file(log, size_t{1} << 20);
  if (WEXITSTATUS(status) == 77) {
    MESSAGE("skipped: " << said);
    return;
  }
  REQUIRE_MESSAGE(status == 0, said);
  CHECK(said.find("wrote ") == said.rfind("wrote "));  // one report
  REQUIRE(std::system((command(small_search(alone)) + " >'" + log + "' 2>&1").c_str()) == 0);
  CHECK(weft::test::contents_of(alone) == weft::test::contents_of(both));
}
