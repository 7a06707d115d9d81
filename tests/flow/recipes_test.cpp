#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "support/temp_dir.h"
#include "weft/adapter/adapter.h"
#include "weft/flow/compose.h"
#include "weft/recipe/recipe.h"

TEST_CASE("flow/recipes: every preset has a recipe that composes the zoo") {
  const weft::test::TempDir dir;
  const std::filesystem::path recipes = std::filesystem::path(WEFT_SOURCE_DIR) / "recipes";
  for (const weft::merge::Method& method : weft::merge::methods()) {
    CAPTURE(method.name);
    weft::flow::ComposeJob job = weft::flow::load_recipe(recipes / (method.name + ".yaml"));
    CHECK(job.spec.method == method.name);
    CHECK(job.output.filename() == method.name);
    job.output = dir / method.name;
    const auto report = weft::flow::compose(job);
    CHECK(weft::adapter::Adapter::open(job.output).modules().size() == report.merge.modules.size());
  }
}
