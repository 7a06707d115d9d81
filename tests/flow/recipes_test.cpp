#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "support/temp_dir.h"
#include "weft/adapter/adapter.h"
#include "weft/flow/compose.h"
#include "weft/flow/search.h"
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

TEST_CASE("flow/recipes: recipes of searches do what their comments say") {
  const weft::test::TempDir dir;
  const std::filesystem::path recipes = std::filesystem::path(WEFT_SOURCE_DIR) / "recipes" / "search";
  const auto found = [&](const char* name) {
    weft::flow::SearchJob job = weft::flow::load_search_recipe(recipes / name);
    job.output = dir / name;
    job.runtime.threads = 1;
    return weft::flow::search(job);
  };
  const auto share_of = [](const weft::flow::SearchReport& report, const std::vector<std::string>& names) {
    double named = 0, all = 0;
    for (size_t i = 0; i < report.weights.size(); ++i) {
      const std::string& name = report.adapters[i % report.adapters.size()];
      all += std::fabs(report.weights[i]);
      if (std::find(names.begin(), names.end(), name) != names.end()) named += std::fabs(report.weights[i]);
    }
    return named / all;
  };
  CHECK(share_of(found("zoo.yaml"), {"drop", "json"}) > 2.0 / 13.0 * 1.5);
  CHECK(share_of(found("unlabelled.yaml"), {"sea", "pirate"}) > 0.4);
  const weft::flow::SearchReport lorahub = found("zoo_lorahub.yaml");
  CHECK(lorahub.trials.size() == 40);
  CHECK(lorahub.trials[0].score > lorahub.score);
}

TEST_CASE("flow/recipes: LoRAHub's experiment is a recipe, with paths for whoever has the weights") {
  const std::filesystem::path recipe = std::filesystem::path(WEFT_SOURCE_DIR) / "recipes/search/bbh_flan_t5.yaml";
  // The pool is not there; everything before it has been read.
  CHECK_THROWS_WITH_AS(weft::flow::load_search_recipe(recipe), doctest::Contains("lorahub"), weft::InputError);
}
