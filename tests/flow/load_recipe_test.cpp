#include <doctest/doctest.h>

#include <string>

#include "support/error_text.h"
#include "support/temp_dir.h"
#include "support/zoo.h"
#include "weft/flow/compose.h"
#include "weft/recipe/recipe.h"

namespace {

using weft::RecipeError;
using weft::flow::ComposeJob;
using weft::flow::load_recipe;

/// The message load_recipe refuses `text` with; the path of the recipe is cut off.
std::string recipe_refusal(const std::string& text) {
  const weft::test::TempDir dir;
  const auto path = dir / "r.yaml";
  weft::test::write_text(path, text);
  const std::string said = weft::test::error_text<RecipeError>([&] { load_recipe(path); });
  return said.starts_with(path.string()) ? said.substr(path.string().size() + 1) : said;
}

const std::string kGood = "adapters:\n  - {adapter: a, name: a}\n  - {adapter: b, name: b}\nmethod: linear\n";

}  // namespace

TEST_CASE("flow/load_recipe: reads every key, relative to the recipe") {
  const weft::test::TempDir dir;
  weft::test::write_text(dir / "recipes/r.yaml",
                         "base_model: gpt2\n"
                         "adapters:\n"
                         "  - adapter: ../zoo/reverse\n"
                         "    name: reverse\n"
                         "    parameters: {weight: 0.6, density: 0.25}\n"
                         "  - adapter: /abs/quote\n"
                         "method: ties\n"
                         "parameters:\n"
                         "  density: [{filter: mlp, value: [0.3, 0.7]}, {value: 0.5}]\n"
                         "  rank: 16\n"
                         "output: {path: ../out/ties, format: peft, dtype: bfloat16, force: true}\n");
  const ComposeJob job = load_recipe(dir / "recipes/r.yaml");
  CHECK(job.base_model == "gpt2");
  REQUIRE(job.adapters.size() == 2);
  CHECK(job.adapters[0].path == dir / "zoo/reverse");
  CHECK(job.adapters[0].name == "reverse");
  CHECK(job.adapters[1].path == "/abs/quote");
  CHECK(job.spec.method == "ties");
  CHECK(job.spec.density.rules.size() == 2);
  CHECK(job.spec.adapters.at(0).weight.rules.at(0).anchors.at(0) == 0.6);
  CHECK(job.spec.rank.rules.at(0).anchors.at(0).number == 16);
  CHECK(job.output == dir / "out/ties");
  CHECK(job.dtype == "bfloat16");
  CHECK(job.force);
  CHECK(job.warnings.empty());
}

TEST_CASE("flow/load_recipe: mergekit's spelling, with a remark where its defaults differ") {
  const weft::test::TempDir dir;
  weft::test::write_text(dir / "r.yaml",
                         "models:\n  - model: a\n    parameters: {weight: 1.0, density: 0.5}\n  - model: b\n"
                         "merge_method: ties\nparameters: {normalize: true, lambda: 1.1}\nout_dtype: float16\n");
  const ComposeJob job = load_recipe(dir / "r.yaml");
  CHECK(job.adapters.size() == 2);
  CHECK(job.spec.method == "ties");
  CHECK(job.spec.scale.rules.at(0).anchors.at(0) == 1.1);
  CHECK(job.dtype == "float16");
  REQUIRE(job.warnings.size() == 1);
  CHECK(job.warnings[0].find("elects signs without weights") != std::string::npos);
}

TEST_CASE("flow/load_recipe: mistakes are named with their place") {
  CHECK(recipe_refusal("") == " the recipe is empty");
  CHECK(recipe_refusal("[1]\n") == "1:1: the recipe is a list, expected a mapping");
  CHECK(recipe_refusal("adapters: [{adapter: a}]\n").find("1:1: the recipe has no 'method'") == 0);
  CHECK(recipe_refusal("method: linear\n") == "1:1: the recipe has no 'adapters'");
  CHECK(recipe_refusal("method: linear\nadapters: []\n") ==
        "2:11: adapters is empty, expected a list of '- adapter: PATH'");
  CHECK(recipe_refusal("method: linear\nadapters: a\n").find("2:11: adapters is 'a', expected a list") == 0);
  CHECK(recipe_refusal(kGood + "adaptors: []\n") ==
        "5:1: unknown key 'adaptors' in the recipe; did you mean 'adapters'?");
  CHECK(recipe_refusal("method: tis\nadapters: [{adapter: a}]\n").find("1:9: ") == 0);
  CHECK(recipe_refusal("method: tis\nadapters: [{adapter: a}]\n").find("did you mean 'ties'?") != std::string::npos);
  CHECK(recipe_refusal("method: linear\nadapters: [{adaptr: a}]\n").find("2:12: adapters[0] has no 'adapter'") == 0);
  CHECK(recipe_refusal("method: linear\nadapters: [{adapter: a, nam: x}]\n") ==
        "2:25: unknown key 'nam' in adapters[0]; did you mean 'name'?");
  CHECK(recipe_refusal("method: linear\nadapters: [{adapter: [a]}]\n") == "2:22: adapter is a list, expected text");
  CHECK(recipe_refusal("method: linear\nadapters: [{adapter: a, name: x}, {adapter: b, name: x}]\n") ==
        "2:54: adapters[0] is called 'x' too; names must differ");
  CHECK(recipe_refusal("base_model: g\nmethod: linear\nadapters: [{adapter: g}]\n") ==
        "3:22: 'g' is the base model; list only adapters");
  CHECK(recipe_refusal(kGood + "models: []\n") == "5:9: 'adapters' and 'models' say the same; keep one");
  CHECK(recipe_refusal(kGood + "slices: []\n").find("5:1: 'slices' is for whole models: ") == 0);
  CHECK(recipe_refusal(kGood + "output: {path: x, dtype: float15}\n") ==
        "5:26: unknown dtype 'float15'; did you mean 'float16'?");
  CHECK(
      recipe_refusal(kGood + "dtype: float16\noutput: {path: x, dtype: float16}\n").find("6:26: dtype is said twice") ==
      0);
  CHECK(recipe_refusal(kGood + "output: {path: x, format: gguf}\n") == "5:27: format is 'gguf', expected 'peft'");
  CHECK(recipe_refusal(kGood + "output: {path: x, force: maybe}\n") ==
        "5:26: force is 'maybe', expected true or false");
  CHECK(recipe_refusal(kGood + "parameters: [1]\n") == "5:13: parameters is a list, expected a mapping");
  CHECK(recipe_refusal(kGood + "parameters: {densty: 0.5}\n").find("5:14: ") == 0);
  CHECK(recipe_refusal(kGood + "parameters: {densty: 0.5}\n").find("did you mean 'density'?") != std::string::npos);
  CHECK(recipe_refusal(kGood + "parameters: {density: 1.5}\n").find("5:23: ") == 0);
  CHECK(recipe_refusal(kGood + "parameters: {weight: abc}\n").find("5:22: ") == 0);
}

TEST_CASE("flow/to_recipe: what is written loads as the same job") {
  const weft::test::TempDir dir;
  weft::test::write_text(dir / "r.yaml",
                         "base_model: gpt2\nadapters:\n"
                         "  - {adapter: /z/a, name: '1', parameters: {weight: -0.5, density: [0.1, 0.9]}}\n"
                         "  - {adapter: '/z/b: c'}\n"
                         "method: dare_ties\n"
                         "parameters: {seed: 7, rank: {energy: 0.99}, lambda: [{filter: mlp, value: 2}, {value: 1}]}\n"
                         "output: {path: /out/x, dtype: float16, force: true}\n");
  const std::string once = weft::recipe::to_yaml(weft::flow::to_recipe(load_recipe(dir / "r.yaml")));
  weft::test::write_text(dir / "again.yaml", once);
  const ComposeJob job = load_recipe(dir / "again.yaml");
  CHECK(weft::recipe::to_yaml(weft::flow::to_recipe(job)) == once);
  CHECK(job.adapters[0].name == "1");
  CHECK(job.adapters[1].path == "/z/b: c");
  CHECK(job.spec.seed == 7);
  CHECK(job.spec.adapters.at(0).density.rules.at(0).anchors.size() == 2);
}
