#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "cli/run_cli.h"
#include "io/json.h"
#include "support/error_text.h"
#include "support/id_model.h"
#include "support/temp_dir.h"
#include "support/zoo.h"

namespace {

using weft::Value;
using weft::test::CliResult;
using weft::test::integers;
using weft::test::run_cli;
using weft::test::says;
using weft::test::TempDir;
using weft::test::text_of_ids;
using weft::test::write_id_model;
using weft::test::write_text;

// float32 forward passes with sums in another order than transformers'; the models' own tests hold 1e-5 on logits.
constexpr double kNllTolerance = 1e-5;

/// A model, examples, and the program run on them.
struct EvalPlace {
  TempDir dir;
  std::string base;
  explicit EvalPlace(const std::string& golden = "llama", int end = -1)
      : base(write_id_model(dir / "base", golden, end).string()) {}

  std::string data(const std::string& lines) const {
    write_text(dir / "data.jsonl", lines);
    return (dir / "data.jsonl").string();
  }
  CliResult run(const std::string& lines, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"eval", "--base", base, "--data", data(lines)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_cli(arguments);
  }
};

const std::string kTwoTexts = "{\"text\": \"5 6 7\"}\n{\"text\": \"8 9\"}\n";

/// Summed cross entropy of every id but the first, from logits [T, vocabulary].
double shifted_loss(const at::Tensor& logits, const std::vector<std::int64_t>& ids) {
  const at::Tensor logs = at::log_softmax(logits.to(at::kDouble), 1);
  double loss = 0;
  for (size_t t = 1; t < ids.size(); ++t) loss -= logs[static_cast<std::int64_t>(t) - 1][ids[t]].item<double>();
  return loss;
}

}  // namespace

TEST_CASE("cli/eval: the JSON of the metrics and of every example") {
  const EvalPlace place;
  const CliResult plain = place.run(kTwoTexts, {"--json"});
  CHECK(plain.code == 0);
  CHECK(plain.err.empty());
  const Value small = weft::io::parse_json(plain.out, "out");
  CHECK(small.map.size() == 1);
  REQUIRE(small.find("metrics") != nullptr);
  CHECK(small.find("metrics")->map.size() == 2);

  const Value json = weft::io::parse_json(place.run(kTwoTexts, {"--json", "--per-example"}).out, "out");
  REQUIRE(json.find("examples") != nullptr);
  const auto& examples = json.find("examples")->list;
  REQUIRE(examples.size() == 2);
  double nll = 0, tokens = 0;
  for (size_t i = 0; i < 2; ++i) {
    CHECK(examples[i].find("index")->integer() == static_cast<long long>(i));
    CHECK(examples[i].find("prediction")->is_null());
    CHECK(examples[i].find("score")->is_null());
    nll += *examples[i].find("nll")->number();
    tokens += *examples[i].find("tokens")->number();
  }
  CHECK(tokens == 3);
  const Value& loss = *json.find("metrics")->find("loss");
  CHECK(*loss.find("value")->number() == doctest::Approx(nll / tokens).epsilon(1e-12));
  CHECK(*loss.find("low")->number() <= *loss.find("value")->number());
  CHECK(*loss.find("high")->number() >= *loss.find("value")->number());
  CHECK(*json.find("metrics")->find("perplexity")->find("value")->number() ==
        doctest::Approx(std::exp(nll / tokens)).epsilon(1e-12));
}

TEST_CASE("cli/eval: tables for people") {
  const EvalPlace place("bert");
  const std::string lines = "{\"text\": \"5 6\", \"label\": \"yes\"}\n{\"text\": \"7\", \"label\": 0}\n";
  const CliResult result = place.run(lines, {"--metric", "loss,accuracy", "--per-example"});
  CHECK(result.code == 0);
  CHECK(says(result.out, "metric"));
  CHECK(result.out.find("loss") < result.out.find("accuracy"));
  CHECK(says(result.out, "2 text/label examples, 2 labels scored"));
  CHECK(says(result.out, "prediction"));
}

TEST_CASE("cli/eval: adapters are summed with their weights, as PEFT does it") {
  const EvalPlace place("llama");
  const auto golden = weft::test::golden_models().parent_path() / "attached" / "llama_weighted";
  const Value facts = weft::io::read_json(golden / "golden.json");
  const auto tensors = weft::io::open_safetensors(golden / "golden.safetensors");
  std::string lines;
  std::vector<double> losses;
  for (const Value& one : facts.find("cases")->list) {
    const std::vector<std::int64_t> ids = integers(one.find("ids"));
    if (ids.size() < 2) continue;
    lines += "{\"text\": \"" + text_of_ids(ids) + "\"}\n";
    losses.push_back(shifted_loss(tensors->load("logits/" + one.find("name")->scalar), ids));
  }
  REQUIRE(!losses.empty());
  const CliResult result =
      place.run(lines, {"--adapter", (golden / "a").string(), "--adapter", "second=" + (golden / "b").string(),
                        "--weights", "0.7,-0.4", "--json", "--per-example"});
  REQUIRE(result.code == 0);
  const Value json = weft::io::parse_json(result.out, "out");
  for (size_t i = 0; i < losses.size(); ++i)
    CHECK(*json.find("examples")->list[i].find("nll")->number() == doctest::Approx(losses[i]).epsilon(kNllTolerance));
}

TEST_CASE("cli/eval: weights in bfloat16 are nearly those in float32") {
  const EvalPlace place;
  const auto loss = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Value json = weft::io::parse_json(place.run(kTwoTexts, arguments).out, "out");
    return *json.find("metrics")->find("loss")->find("value")->number();
  };
  const double exact = loss({}), rounded = loss({"--dtype", "bfloat16"});
  CHECK(rounded != exact);
  // bfloat16 keeps 8 bits: every weight is off by up to 0.4 %, logits of this model by some 1 % of their spread.
  CHECK(rounded == doctest::Approx(exact).epsilon(0.03));
  CHECK(loss({"--threads", "1"}) == doctest::Approx(exact).epsilon(kNllTolerance));
  CHECK(loss({"--batch-tokens", "1"}) == doctest::Approx(exact).epsilon(kNllTolerance));
}

TEST_CASE("cli/eval: what is typed wrongly exits with 2") {
  const EvalPlace place;
  const auto refused = [&](const std::vector<std::string>& more) {
    const CliResult result = place.run(kTwoTexts, more);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    return result.err;
  };
  CHECK(refused({"--metric", "los"}) == "weft: error: --metric: unknown metric 'los'; did you mean 'loss'?\n");
  CHECK(says(refused({"--metric", ""}), "unknown metric ''"));
  CHECK(says(refused({"--metric", "loss,,perplexity"}), "unknown metric ''"));
  CHECK(says(refused({"--metric", "accuracy"}), "does not fit text examples"));
  CHECK(says(refused({"--metric", "loss,loss"}), "given twice"));
  CHECK(says(refused({"--dtype", "float8"}), "unknown dtype 'float8'"));
  CHECK(says(refused({"--device", "gpu"}), "gpu"));
  CHECK(says(refused({"--batch-tokens", "0"}), "--batch-tokens: batch_tokens is '0'"));
  CHECK(says(refused({"--threads", "-1"}), "--threads"));
  CHECK(says(refused({"--weights", "1"}), "--weights without --adapter"));
  CHECK(says(refused({"--adapter", "a", "--adapter", "b", "--weights", "1"}), "--weights has 1 values for 2 adapters"));
  CHECK(says(refused({"--adapter", "a", "--weights", "x"}), "--weights: 'x' is not a number"));
  CHECK(says(refused({"--adapter", "a", "--weights", ""}), "--weights has 0 values for 1 adapters"));
  CHECK(run_cli({"eval", "--data", "x"}).code == 2);
  CHECK(run_cli({"eval", "--base", "x"}).code == 2);
}

TEST_CASE("cli/eval: what cannot be read exits with 3 and its place") {
  const EvalPlace place;
  const auto refused = [&](const std::string& lines, const std::vector<std::string>& more = {}) {
    const CliResult result = place.run(lines, more);
    CHECK(result.code == 3);
    CHECK(result.out.empty());
    return result.err;
  };
  CHECK(says(refused(""), "data.jsonl: is empty"));
  CHECK(says(refused("{\"text\": \"5 6\"}\n{\"txt\": \"5\"}"), "data.jsonl:2: an example with the keys 'txt'"));
  CHECK(says(refused("{\"text\": \"5 6\"}\n{\"text\": \"5\"}"), "data.jsonl:2: the text has one token only"));
  CHECK(says(refused("{\"text\": \"\xC3\"}"), "data.jsonl:1: not UTF-8"));
  CHECK(says(refused("{\"text\": \"5\", \"label\": 1}"), "has no classification head"));
  const std::string zoo = weft::test::write_zoo_adapter(place.dir / "zoo", 1, 2).string();
  CHECK(says(refused(kTwoTexts, {"--adapter", zoo}), "model.layers.0"));
  CHECK(says(refused(kTwoTexts, {"--adapter", (place.dir / "none").string()}), "none"));
  const auto no_data = run_cli({"eval", "--base", place.base, "--data", (place.dir / "none.jsonl").string()});
  CHECK(no_data.code == 3);
  CHECK(says(no_data.err, "none.jsonl"));
  const auto no_base = run_cli({"eval", "--base", (place.dir / "none").string(), "--data", place.data(kTwoTexts)});
  CHECK(no_base.code == 3);
  std::filesystem::remove(std::filesystem::path(place.base) / "tokenizer.json");
  CHECK(says(refused(kTwoTexts), "tokenizer"));
}

TEST_CASE("cli/eval: an encoder without a head takes labels by similarity") {
  const EvalPlace place("bert_sentence");
  const std::string lines = "{\"text\": \"5 6\", \"label\": \"7_8\"}\n{\"text\": \"9\", \"label\": \"10\"}\n";
  const std::string indices = "{\"text\": \"5 6\", \"label\": 0}\n{\"text\": \"9\", \"label\": 1}\n";
  const auto loss = [&](const std::string& data, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--json", "--metric", "loss,f1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CliResult result = place.run(data, arguments);
    CHECK(result.err.empty());
    REQUIRE(result.code == 0);
    return *weft::io::parse_json(result.out, "out").find("metrics")->find("loss")->find("value")->number();
  };
  const double plain = loss(lines, {});
  CHECK(loss(indices, {"--labels", "7_8,10"}) == plain);
  CHECK(loss(lines, {"--temperature", "0.05", "--label-template", "{label}"}) == plain);
  CHECK(loss(lines, {"--temperature", "1"}) != plain);
  CHECK(loss(lines, {"--label-template", "11 {label}"}) != plain);
  CHECK(loss(lines, {"--max-tokens", "1", "-q"}) != plain);
  CHECK(says(place.run(lines, {"--max-tokens", "1"}).err, "longer than 1 tokens and were cut"));
  CHECK(place.run(indices, {}).code == 3);
  CHECK(says(place.run(indices, {}).err, "--labels no,yes"));
}

TEST_CASE("cli/eval: choices, generated answers and templates") {
  const EvalPlace place;
  const CliResult choice =
      place.run("{\"prompt\": \"5 6\", \"choices\": [\"7\", \"8 9\"], \"answer\": 1}\n", {"--json", "--per-example"});
  REQUIRE(choice.code == 0);
  const Value json = weft::io::parse_json(choice.out, "out");
  CHECK(json.find("metrics")->map.size() == 2);
  CHECK(json.find("examples")->list[0].find("score")->number().has_value());
  const std::string record = "{\"question\": \"6\", \"reply\": \"7 8\"}\n";
  const CliResult made = place.run(record, {"--prompt-template", "5 {question}", "--completion-template", "{reply}",
                                            "--metric", "exact_match,rougeL,loss", "--max-new-tokens", "2", "--stop",
                                            "never", "--stop", "\n", "--json", "--per-example"});
  CHECK(made.err.empty());
  REQUIRE(made.code == 0);
  const Value found = weft::io::parse_json(made.out, "out");
  CHECK(found.find("metrics")->map[1].first == "rouge_l");
  const CliResult same =
      place.run("{\"prompt\": \"5 6\", \"completion\": \"7 8\"}\n", {"--json", "--per-example", "--metric", "loss"});
  const auto nll = [](const Value& value) { return *value.find("examples")->list[0].find("nll")->number(); };
  CHECK(nll(found) == nll(weft::io::parse_json(same.out, "out")));
}

TEST_CASE("cli/eval: a recipe says it all, and flags win over it") {
  const EvalPlace place;
  const std::string data = place.data("{\"q\": \"5 6\", \"a\": \"7\"}\n");
  const auto adapter = weft::test::golden_models().parent_path() / "attached" / "llama_weighted" / "a";
  const auto recipe = place.dir / "eval.yml";
  const auto write = [&](const std::string& more) {
    write_text(recipe, "base_model: base\nadapters:\n  - adapter: " + adapter.string() +
                           "\n    parameters: {weight: 0.5}\n"
                           "examples: {data: data.jsonl, prompt: '{q}', completion: '{a}'}\n" +
                           more);
  };
  const auto loss = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--json", "--metric", "loss"});
    const CliResult result = run_cli(arguments);
    CHECK(result.err.empty());
    REQUIRE(result.code == 0);
    return *weft::io::parse_json(result.out, "out").find("metrics")->find("loss")->find("value")->number();
  };
  write("eval: {metrics: [perplexity], batch_tokens: 64}\n");
  const double found = loss({"eval", recipe.string()});
  const std::vector<std::string> flags = {
      "eval", "--base", place.base, "--data", data, "--prompt-template", "{q}", "--completion-template", "{a}"};
  const auto with = [](std::vector<std::string> all, const std::vector<std::string>& more) {
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  CHECK(loss(with(flags, {"--adapter", adapter.string(), "--weights", "0.5"})) == found);
  CHECK(loss({"eval", recipe.string(), "--weights", "0"}) ==
        loss(with(flags, {"--adapter", adapter.string(), "--weights", "0"})));
  CHECK(says(run_cli({"eval", recipe.string()}).out, "perplexity"));
  const auto refused = [&](const std::string& more) {
    write(more);
    const CliResult result = run_cli({"eval", recipe.string()});
    CHECK(result.code == 2);
    return result.err;
  };
  CHECK(says(refused("eval: {metrics: [perplexty]}\n"), "eval.yml:6:17: unknown metric 'perplexty'; did you mean"));
  CHECK(says(refused("eval: {temperatur: 1}\n"), "eval.yml:6:8: unknown option 'temperatur' for eval; did you mean"));
  CHECK(says(refused("eval: {temperature: 0}\n"), "temperature is '0', expected more than 0"));
  CHECK(says(refused("eval: {stop: ['']}\n"), "stop has an empty text"));
  CHECK(says(refused("eval: {labels: [a]}\n"), "labels has 1 names"));
  CHECK(says(refused("eval: {label_template: x}\n"), "without {label}"));
  CHECK(says(refused("evl: {}\n"), "eval.yml:6:1: unknown key 'evl' in the recipe; did you mean 'eval'?"));
  CHECK(says(run_cli({"eval", "--base", place.base}).err, "--data is empty or missing"));
  CHECK(says(run_cli({"eval", "--data", data}).err, "--base is empty or missing"));
  CHECK(run_cli({"eval", (place.dir / "none.yml").string()}).code == 3);
}

TEST_CASE("cli/eval: the help lists every metric and every shape") {
  const std::string help = run_cli({"eval", "--help"}).out;
  for (const char* word : {"exact_match", "normalized_match", "rouge_l", "choice_normalized", "f1_micro", "\"choices\"",
                           "\"label\"", "--label-template", "BIG-Bench Hard"})
    CHECK(says(help, word));
}
