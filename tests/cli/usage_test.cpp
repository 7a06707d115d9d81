#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cli/run_cli.h"
#include "io/json.h"
#include "weft/core/version.h"
#include "weft/merge/spec.h"

using weft::test::run_cli;

namespace {

/// The first line of what a refused run says.
std::string first_error(const std::vector<std::string>& arguments, int code) {
  const auto result = run_cli(arguments);
  CHECK(result.code == code);
  CHECK(result.out.empty());
  return result.err.substr(0, result.err.find('\n'));
}

}  // namespace

TEST_CASE("cli/usage: help everywhere, with an example") {
  for (const char* command :
       {"", "merge", "compose", "inspect", "methods", "eval", "embed", "generate", "tokenize", "train", "search"}) {
    CAPTURE(command);
    std::vector<std::string> arguments = {"--help"};
    if (*command != '\0') arguments.insert(arguments.begin(), command);
    const auto result = run_cli(arguments);
    CHECK(result.code == 0);
    CHECK(result.err.empty());
    CHECK(result.out.find("Usage:") != std::string::npos);
    CHECK(result.out.find("Example") != std::string::npos);
  }
  CHECK(run_cli({"inspect", "--help"}).out.find("cosine") != std::string::npos);
}

TEST_CASE("cli/usage: --version names all versions") {
  const auto result = run_cli({"--version"});
  CHECK(result.code == 0);
  CHECK(result.out.find("weft " + weft::version() + "\n") == 0);
  CHECK(result.out.find("libtorch " + weft::torch_version()) != std::string::npos);
  CHECK(result.out.find("build ") != std::string::npos);
  CHECK(result.out.find("threads ") != std::string::npos);
}

TEST_CASE("cli/usage: typing mistakes exit with 2 and the nearest word") {
  CHECK(first_error({}, 2) ==
        "weft: error: no command given; expected one of merge, compose, inspect, methods, eval, embed, generate, "
        "tokenize, train, search (see weft --help)");
  CHECK(first_error({"mrege"}, 2) == "weft: error: unknown command 'mrege'; did you mean 'merge'?");
  CHECK(first_error({"merge", "a", "--weigths", "1"}, 2) ==
        "weft: error: unknown option '--weigths'; did you mean '--weights'?");
  CHECK(first_error({"merge", "a", "--weigths=1"}, 2) ==
        "weft: error: unknown option '--weigths'; did you mean '--weights'?");
  CHECK(first_error({"merge"}, 2).find("weft: error: ADAPTER is required") == 0);
  CHECK(first_error({"merge", "a"}, 2) == "weft: error: --method is missing; 'weft methods' lists them");
  CHECK(first_error({"compose"}, 2).find("weft: error: RECIPE is required") == 0);
  CHECK(first_error({"compose", "a", "b"}, 2).find("weft: error: unexpected argument 'b'") == 0);
  CHECK(first_error({"--jsn"}, 2).find("weft: error: unknown option '--jsn'") == 0);
  CHECK(first_error({"methods", "tis"}, 2).find("did you mean 'ties'?") != std::string::npos);
  CHECK(first_error({"merge", "a", "--method", "liner"}, 2).find("weft: error: --method: ") == 0);
}

TEST_CASE("cli/usage: what is said twice is refused, not chosen from") {
  const std::vector<std::string> merge = {"merge", "a", "b", "--method", "ties", "-o", "out"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = merge;
    all.insert(all.end(), more.begin(), more.end());
    return first_error(all, 2);
  };
  CHECK(with({"--set", "density=0.5", "--set", "density=0.4"}) ==
        "weft: error: --set density is given twice; give it once");
  CHECK(with({"--set", "weight=0.5", "--weights", "1,2"}) ==
        "weft: error: --weights and --set weight both say the weights; give one of them");
}

TEST_CASE("cli/methods: tables, JSON and Markdown hold every method") {
  const std::string table = run_cli({"methods"}).out, markdown = run_cli({"methods", "--markdown"}).out;
  const weft::Value json = weft::io::parse_json(run_cli({"methods", "--json"}).out, "out");
  const auto& rows = json.find("methods")->list;
  REQUIRE(rows.size() == weft::merge::methods().size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string name = weft::merge::methods()[i].name;
    CHECK(rows[i].find("name")->scalar == name);
    CHECK(rows[i].find("options")->list.size() == weft::merge::fields().size());
    CHECK(table.find("\n" + name + " ") != std::string::npos);
    CHECK(markdown.find("| `" + name + "` |") != std::string::npos);
    const auto one = run_cli({"methods", name});
    CHECK(one.code == 0);
    CHECK(one.out.find(name + ": ") == 0);
    CHECK(one.out.find("density") != std::string::npos);
  }
  CHECK(weft::io::parse_json(run_cli({"methods", "ties", "--json"}).out, "out").find("methods")->list.size() == 1);
}
