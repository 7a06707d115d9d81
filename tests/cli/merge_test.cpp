#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/run_cli.h"
#include "io/json.h"
#include "support/temp_dir.h"
#include "support/zoo.h"
#include "weft/adapter/adapter.h"
#include "weft/recipe/recipe.h"

namespace {

namespace fs = std::filesystem;
using weft::test::run_cli;

/// A folder with adapters `a` (rank 3) and `b` (rank 2) and the arguments of a merge of both.
struct MergePlace {
  weft::test::TempDir dir;
  std::string a = weft::test::write_zoo_adapter(dir / "a", 1, 3).string();
  std::string b = weft::test::write_zoo_adapter(dir / "b", 2, 2).string();
  std::string out = (dir / "out").string();

  std::vector<std::string> arguments(std::vector<std::string> more) const {
    more.insert(more.begin(), {"merge", a, b, "--method", "linear"});
    return more;
  }
  /// The recipe that these arguments stand for.
  weft::Value recipe(std::vector<std::string> more) const {
    more.emplace_back("--print-recipe");
    const auto result = run_cli(arguments(more));
    CHECK_MESSAGE(result.code == 0, result.err);
    return weft::recipe::parse(result.out, "out");
  }
  /// The one line a refused merge says.
  std::string error(const std::vector<std::string>& more, int code) const {
    const auto result = run_cli(arguments(more));
    CHECK(result.code == code);
    CHECK(result.out.empty());
    CHECK(result.err.find("weft: error: ") == 0);
    return result.err.substr(13);
  }
};

std::string weight_of(const weft::Value& recipe, size_t index) {
  const weft::Value* parameters = recipe.find("adapters")->list.at(index).find("parameters");
  return parameters != nullptr && parameters->find("weight") != nullptr ? parameters->find("weight")->scalar : "";
}

}  // namespace

TEST_CASE("cli/merge: merges and says what it wrote") {
  const MergePlace place;
  const auto result = run_cli(place.arguments({"--weights", "0.6,-0.2", "-o", place.out}));
  CHECK_MESSAGE(result.code == 0, result.err);
  CHECK(result.err.empty());
  CHECK(result.out.find("wrote " + place.out + ": linear of a, b\n  4 modules, rank 5, float32, ") == 0);
  CHECK(weft::adapter::Adapter::open(place.out).modules().size() == 4);
  CHECK(run_cli(place.arguments({"-q", "--force", "-o", place.out})).out.empty());
}

TEST_CASE("cli/merge: --json prints one document and nothing else") {
  const MergePlace place;
  const auto result = run_cli(place.arguments({"--json", "--dtype", "bfloat16", "-o", place.out}));
  REQUIRE(result.code == 0);
  const weft::Value report = weft::io::parse_json(result.out, "out");
  CHECK(report.find("written")->boolean() == true);
  CHECK(report.find("dtype")->scalar == "bfloat16");
  CHECK(report.find("modules")->list.size() == 4);
  CHECK(report.find("adapters")->list.size() == 2);
}

TEST_CASE("cli/merge: negative weights in both spellings") {
  const MergePlace place;
  for (const std::vector<std::string>& weights :
       {std::vector<std::string>{"--weights=-0.5,1"}, {"--weights", "-0.5,1"}, {"--weights", "-.5,1"}}) {
    const weft::Value recipe = place.recipe(weights);
    CHECK(std::atof(weight_of(recipe, 0).c_str()) == -0.5);
    CHECK(std::atof(weight_of(recipe, 1).c_str()) == 1);
  }
}

TEST_CASE("cli/merge: names, options and output end up in the recipe") {
  const MergePlace place;
  const auto result = run_cli({"merge", "first=" + place.a, place.b, "--method", "ties", "--set", "density=[0.3, 0.7]",
                               "--set", "rank=energy:0.99", "--set=seed=7", "--dtype", "float16", "--base-model",
                               "gpt2", "-o", place.out, "--print-recipe"});
  REQUIRE_MESSAGE(result.code == 0, result.err);
  CHECK_FALSE(fs::exists(place.out));
  const weft::Value recipe = weft::recipe::parse(result.out, "out");
  CHECK(recipe.find("adapters")->list[0].find("name")->scalar == "first");
  CHECK(recipe.find("adapters")->list[1].find("name") == nullptr);
  CHECK(recipe.find("base_model")->scalar == "gpt2");
  CHECK(recipe.find("parameters")->find("density")->list.size() == 2);
  CHECK(recipe.find("parameters")->find("seed")->scalar == "7");
  CHECK(recipe.find("output")->find("dtype")->scalar == "float16");

  weft::test::write_text(place.dir / "r.yaml", result.out);
  const auto again = run_cli({"compose", (place.dir / "r.yaml").string(), "--print-recipe"});
  CHECK(again.out == result.out);
  const auto composed = run_cli({"compose", (place.dir / "r.yaml").string()});
  CHECK_MESSAGE(composed.code == 0, composed.err);
  CHECK(fs::exists(fs::path(place.out) / "adapter_config.json"));
}

TEST_CASE("cli/merge: an existing path with '=' in it is a path") {
  const MergePlace place;
  const fs::path odd = place.dir / "x=y";
  weft::test::write_zoo_adapter(odd, 3, 2);
  const auto result = run_cli({"merge", odd.string(), "--method", "linear", "--print-recipe"});
  CHECK(weft::recipe::parse(result.out, "out").find("adapters")->list[0].find("name") == nullptr);
}

TEST_CASE("cli/merge: --dry-run writes nothing") {
  const MergePlace place;
  const auto result = run_cli(place.arguments({"--dry-run", "-o", place.out}));
  CHECK_MESSAGE(result.code == 0, result.err);
  CHECK(result.out.find("all checks passed, nothing written") == 0);
  CHECK_FALSE(fs::exists(place.out));
  const auto json = run_cli(place.arguments({"--dry-run", "--json"}));
  CHECK(weft::io::parse_json(json.out, "out").find("written")->boolean() == false);
  CHECK(weft::io::parse_json(json.out, "out").find("plan")->find("memory_bytes") != nullptr);
}

TEST_CASE("cli/merge: what the user typed exits with 2") {
  const MergePlace place;
  CHECK(place.error({}, 2).find("no output folder") == 0);
  CHECK(place.error({"--weights", "1", "-o", place.out}, 2) ==
        "--weights has 1 values for 2 adapters; give one each, as in --weights 0.6,-0.2\n");
  CHECK(place.error({"--weights", "1,x", "-o", place.out}, 2).find("--weights: ") == 0);
  CHECK(place.error({"--weights", "1,[2", "-o", place.out}, 2).find("--weights: cannot read") == 0);
  CHECK(place.error({"--set", "density", "-o", place.out}, 2) ==
        "--set 'density', expected KEY=VALUE, as in --set density=0.5\n");
  CHECK(place.error({"--set", "densty=0.5", "-o", place.out}, 2).find("did you mean 'density'?") != std::string::npos);
  CHECK(place.error({"--set", "density=2", "-o", place.out}, 2).find("--set density: ") == 0);
  CHECK(place.error({"--set", "space=detla", "-o", place.out}, 2).find("delta") != std::string::npos);
  CHECK(place.error({"--dtype", "bfloat", "-o", place.out}, 2) ==
        "--dtype: unknown dtype 'bfloat'; did you mean 'bfloat16'?\n");
  CHECK(place.error({"--threads", "-1", "-o", place.out}, 2).find("--threads is '-1', expected") == 0);
  CHECK(place.error({"--memory", "lots", "-o", place.out}, 2).find("--memory: ") == 0);
  CHECK(place.error({"-o", place.a}, 2).find("the output is an input") != std::string::npos);
  CHECK(place.error({"--weights=", "-o", place.out}, 2) == "'--weights=' has no value\n");
  CHECK(place.error({"--weights", "", "-o", place.out}, 2).find("--weights has 0 values for 2 adapters") == 0);
  CHECK(place.error({"", "-o", place.out}, 2) == "the path of an adapter is empty\n");
  CHECK(place.error({"x=", "-o", place.out}, 2).find("has no path after '='") != std::string::npos);
  CHECK_FALSE(fs::exists(place.out));
}

TEST_CASE("cli/merge: an existing output stays unless --force") {
  const MergePlace place;
  REQUIRE(run_cli(place.arguments({"-o", place.out})).code == 0);
  const std::string before = weft::test::file_text(fs::path(place.out) / "adapter_model.safetensors");
  CHECK(place.error({"--weights", "2,2", "-o", place.out}, 2).find("exists already") != std::string::npos);
  CHECK(weft::test::file_text(fs::path(place.out) / "adapter_model.safetensors") == before);
  CHECK(run_cli(place.arguments({"--weights", "2,2", "--force", "-o", place.out})).code == 0);
  CHECK(weft::test::file_text(fs::path(place.out) / "adapter_model.safetensors") != before);
}

TEST_CASE("cli/merge: bad inputs exit with 3, what the machine refuses with 1") {
  const MergePlace place;
  const std::string gone = (place.dir / "gone").string();
  const auto missing = run_cli({"merge", gone, "--method", "linear", "-o", place.out});
  CHECK(missing.code == 3);
  CHECK(missing.err.find("weft: error: ") == 0);
  CHECK(missing.err.find(gone) != std::string::npos);
  CHECK(run_cli({"compose", gone}).code == 3);
  weft::test::write_text(place.dir / "cut/adapter_config.json", "{\"peft_type\": \"LORA\", \"r\": ");
  weft::test::write_text(place.dir / "cut/adapter_model.safetensors", "xx");
  CHECK(run_cli({"merge", (place.dir / "cut").string(), "--method", "linear", "-o", place.out}).code == 3);
  weft::test::write_text(place.dir / "file", "x");
  CHECK(place.error({"-o", (place.dir / "file/out").string()}, 1).find("is not a folder") != std::string::npos);
  CHECK_FALSE(fs::exists(place.out));
}

TEST_CASE("cli/merge: recipe mistakes exit with 2 and the place") {
  const MergePlace place;
  const fs::path recipe = place.dir / "r.yaml";
  weft::test::write_text(recipe, "adapters:\n  - adapter: a\nmethod: linear\nparametrs: {}\n");
  const auto result = run_cli({"compose", recipe.string()});
  CHECK(result.code == 2);
  CHECK(result.err == "weft: error: " + recipe.string() +
                          ":4:1: unknown key 'parametrs' in the recipe; did you mean 'parameters'?\n");
}

TEST_CASE("cli/merge: a terminal gets colours, unless NO_COLOR") {
  const char* before = std::getenv("NO_COLOR");
  const std::string kept = before != nullptr ? before : "";
  ::unsetenv("NO_COLOR");
  CHECK(run_cli({"methods", "x"}, true).err.find("\033[31m") != std::string::npos);
  CHECK(run_cli({"methods", "x"}, false).err.find('\033') == std::string::npos);
  ::setenv("NO_COLOR", "1", 1);
  CHECK(run_cli({"methods", "x"}, true).err.find('\033') == std::string::npos);
  before != nullptr ? ::setenv("NO_COLOR", kept.c_str(), 1) : ::unsetenv("NO_COLOR");
}
