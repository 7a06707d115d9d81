#include "weft/flow/evaluate.h"

#include <doctest/doctest.h>

#include <string>

#include "support/error_text.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"

namespace {

using weft::RecipeError;
using weft::UsageError;
using weft::flow::EvaluateJob;
using weft::flow::load_evaluate_recipe;
using weft::test::error_text;
using weft::test::TempDir;
using weft::test::write_text;

/// The job of a recipe, or what is said of it, without the folder.
struct RecipePlace {
  TempDir dir;
  EvaluateJob load(const std::string& text) const {
    write_text(dir / "in" / "eval.yml", text);
    return load_evaluate_recipe(dir / "in" / "eval.yml");
  }
  std::string refused(const std::string& text) const {
    const std::string said = error_text<RecipeError>([&] { load(text); });
    const size_t at = said.find("eval.yml");
    return at == std::string::npos ? said : said.substr(at);
  }
};

}  // namespace

TEST_CASE("flow/evaluate: a recipe becomes a job, paths beside it") {
  const RecipePlace place;
  const EvaluateJob job = place.load(
      "base_model: ../base\n"
      "adapters:\n"
      "  - adapter: zoo/a\n"
      "  - adapter: zoo/b\n"
      "    name: second\n"
      "    parameters: {weight: -0.5}\n"
      "examples: {data: test.jsonl, prompt: 'Q: {input}', completion: '{output}', text: '{t}'}\n"
      "eval:\n"
      "  metrics: [loss, acc]\n"
      "  temperature: 0.1\n"
      "  label_template: about {label}\n"
      "  labels: [no, yes]\n"
      "  max_tokens: 40\n"
      "  max_new_tokens: 7\n"
      "  stop: [\"\\n\\n\", END]\n"
      "  seed: 3\n"
      "  batch_tokens: 64\n");
  CHECK(job.runtime.base == place.dir / "base");
  REQUIRE(job.runtime.adapters.size() == 2);
  CHECK(job.runtime.adapters[0].path == place.dir / "in" / "zoo" / "a");
  CHECK(job.runtime.adapters[1].name == "second");
  CHECK(job.runtime.weights == std::vector<double>{1.0, -0.5});
  CHECK(job.data == place.dir / "in" / "test.jsonl");
  CHECK(job.reading.form.prompt == "Q: {input}");
  CHECK(job.reading.form.completion == "{output}");
  CHECK(job.reading.form.text == "{t}");
  CHECK(job.options.metrics == std::vector<std::string>{"loss", "acc"});
  CHECK(job.options.temperature == 0.1);
  CHECK(job.options.label_template == "about {label}");
  CHECK(job.options.labels == std::vector<std::string>{"no", "yes"});
  CHECK(job.options.max_tokens == 40);
  CHECK(job.options.max_new_tokens == 7);
  CHECK(job.options.stop == std::vector<std::string>{"\n\n", "END"});
  CHECK(job.options.seed == 3);
  CHECK(job.options.batch_tokens == 64);
}

TEST_CASE("flow/evaluate: what is left out keeps its default") {
  const RecipePlace place;
  const EvaluateJob job = place.load("examples: test.jsonl\neval: {stop: [], metrics: loss}\n");
  CHECK(job.data == place.dir / "in" / "test.jsonl");
  CHECK(job.runtime.base.empty());
  CHECK(job.options.stop.empty());
  CHECK(job.options.metrics == std::vector<std::string>{"loss"});
  CHECK(job.options.temperature == 0.05);
  CHECK(error_text<UsageError>([&] { weft::flow::run_evaluation(job); }) ==
        "there is no base model to evaluate; name its folder");
  CHECK(error_text<UsageError>([&] { weft::flow::run_evaluation(place.load("base_model: x\n")); }) ==
        "there are no examples to evaluate on; name their file");
}

TEST_CASE("flow/evaluate: mistakes are named with their place") {
  const RecipePlace place;
  CHECK(place.refused("") == "eval.yml: the recipe is empty");
  CHECK(place.refused("evl: {}\n") == "eval.yml:1:1: unknown key 'evl' in the recipe; did you mean 'eval'?");
  CHECK(place.refused("eval: 3\n") == "eval.yml:1:7: eval is '3', expected a mapping");
  CHECK(place.refused("eval: {metric: [loss]}\n") ==
        "eval.yml:1:8: unknown option 'metric' for eval; did you mean 'metrics'?");
  CHECK(place.refused("eval: {metrics: [los]}\n") == "eval.yml:1:17: unknown metric 'los'; did you mean 'loss'?");
  CHECK(place.refused("eval: {metrics: {a: 1}}\n") == "eval.yml:1:17: metrics is a mapping, expected a list of texts");
  CHECK(place.refused("eval: {temperature: warm}\n") ==
        "eval.yml:1:21: temperature is 'warm', expected more than 0 (label similarity: what the cosine of text and "
        "label is divided by)");
  CHECK(place.refused("eval: {seed: -1}\n") ==
        "eval.yml:1:14: seed is '-1', expected whole number, at least 0 (of the resamples)");
  CHECK(place.refused("eval: {labels: [only]}\n") ==
        "eval.yml:1:16: labels has 1 names, and nothing to choose from; expected two or more");
  CHECK(place.refused("examples: {dta: x}\n").starts_with("eval.yml:1:11: examples has no 'data'"));
  CHECK(place.refused("adapters: [{adapter: a, parameters: {density: 1}}]\n").find("unknown key 'density'") !=
        std::string::npos);
}
