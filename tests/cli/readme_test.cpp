#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "cli/run_cli.h"
#include "core/staged.h"
#include "support/temp_dir.h"

namespace {

std::string repository_file(const std::string& name) {
  return weft::read_file(std::filesystem::path(WEFT_SOURCE_DIR) / name, size_t{1} << 20);
}

}  // namespace

TEST_CASE("cli/readme: the table of methods is the one that the program prints") {
  const std::string readme = repository_file("README.md");
  const auto table = weft::test::run_cli({"methods", "--markdown"});
  REQUIRE(table.code == 0);
  CHECK(readme.find(table.out) != std::string::npos);
}

TEST_CASE("cli/readme: the recipe shown is the embedded one") {
  const std::string readme = repository_file("README.md"), recipe = repository_file("recipes/zoo/drop_json.yaml");
  CHECK(readme.find(recipe.substr(recipe.find("adapters:"))) != std::string::npos);
}

TEST_CASE("cli/readme: the output shown is what the program says") {
  const std::string readme = repository_file("README.md");
  const weft::test::TempDir dir;
  const auto shown =
      weft::test::run_cli({"compose", WEFT_SOURCE_DIR "/recipes/zoo/drop_json.yaml", "-o", (dir / "out").string()});
  REQUIRE(shown.code == 0);
  // Everything but the output's place and the time.
  const std::string modules = shown.out.substr(shown.out.find("  14 modules"));
  CHECK(readme.find(modules.substr(0, modules.find("KiB"))) != std::string::npos);
  CHECK(readme.find(modules.substr(modules.find("  norm"))) != std::string::npos);
}
