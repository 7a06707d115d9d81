#include "weft/train/options.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/error_text.h"
#include "weft/recipe/recipe.h"

using weft::RecipeError;
using weft::UsageError;
using weft::Value;
using weft::test::error_text;
using weft::test::says;
using weft::train::set_option;
using weft::train::TrainOptions;

namespace {

bool says_all(const std::string& text, const std::vector<std::string>& parts) {
  return std::all_of(parts.begin(), parts.end(), [&](const std::string& part) { return says(text, part); });
}

void set_from_text(TrainOptions& options, const std::string& name, const std::string& text) {
  set_option(options, name, weft::recipe::parse_option(text, name), {"train.yaml", 3, 5});
}

}  // namespace

TEST_CASE("train/options: every option is set, said, and read back") {
  for (const auto& option : weft::train::options()) {
    CAPTURE(option.field.name);
    CHECK(!option.field.doc.empty());
    TrainOptions options;
    const Value usual = option.get(options);
    CHECK_NOTHROW(set_option(options, option.field.name, usual, {}));
    CHECK(option.get(options).same_as(usual));
  }
  TrainOptions options;
  set_from_text(options, "targets", "[q_proj, v_proj]");
  set_from_text(options, "layers", "3,4,5");
  set_from_text(options, "bias", "lora_only");
  set_from_text(options, "schedule", "linear");
  set_from_text(options, "learning_rate", "3e-4");
  set_from_text(options, "dora", "true");
  CHECK(options.lora.targets == std::vector<std::string>{"q_proj", "v_proj"});
  CHECK(options.lora.layers == std::vector<std::int64_t>{3, 4, 5});
  CHECK(options.lora.bias == weft::train::Bias::kLoraOnly);
  CHECK(options.learning_rate == 3e-4);
  TrainOptions again;
  const Value said = weft::train::to_value(options);
  for (const auto& [name, value] : said.map) set_option(again, name, value, {});
  CHECK(weft::train::to_value(again).same_as(said));
}

TEST_CASE("train/options: wrong names and values are refused with place and range") {
  TrainOptions options;
  CHECK(says_all(error_text<RecipeError>([&] { set_from_text(options, "learningrate", "1"); }),
                 {"train.yaml:3:5", "learningrate", "learning_rate"}));
  CHECK(says_all(error_text<RecipeError>([&] { set_from_text(options, "rank", "0"); }), {"rank", "[1, "}));
  CHECK(says_all(error_text<RecipeError>([&] { set_from_text(options, "rank", "2.5"); }), {"rank"}));
  CHECK(says_all(error_text<RecipeError>([&] { set_from_text(options, "dropout", "1"); }), {"dropout"}));
  CHECK(says_all(error_text<RecipeError>([&] { set_from_text(options, "schedule", "cosin"); }), {"cosine"}));
  CHECK(says_all(error_text<RecipeError>([&] { set_from_text(options, "layers", "a"); }), {"layers", "'a'"}));
  CHECK(says_all(error_text<RecipeError>([&] { set_from_text(options, "learning_rate", ".nan"); }), {"learning_rate"}));
}

TEST_CASE("train/options: what contradicts itself is refused") {
  TrainOptions options;
  options.from_scratch = true;
  CHECK_THROWS_AS(check_options(options), UsageError);
  options = {};
  options.all_weights = true, options.lora.dora = true;
  CHECK_THROWS_AS(check_options(options), UsageError);
  options = {};
  options.label_template = "a label";
  CHECK_THROWS_AS(check_options(options), UsageError);
  options = {};
  options.steps = 10, options.warmup = 10;
  CHECK_THROWS_AS(check_options(options), UsageError);
  options = {};
  options.learning_rate = -1.0;
  CHECK_THROWS_AS(check_options(options), UsageError);
}
