#include "eval/answers.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/eval_bench.h"
#include "weft/model/generate.h"

namespace {

using weft::InputError;
using weft::UsageError;
using weft::Value;
using weft::data::Example;
using weft::data::Examples;
using weft::data::Kind;
using weft::eval::EvalOptions;
using weft::eval::Report;
using weft::test::asked;
using weft::test::choosing;
using weft::test::EvalBench;
using weft::test::golden_models;
using weft::test::integers;
using weft::test::KeptWarnings;
using weft::test::says;
using weft::test::text_of_ids;

// float32 forward passes with sums in another order than transformers'; the models' own tests hold 1e-5.
constexpr double kTolerance = 1e-5;

const std::vector<std::string> kPrompts = {"5 6", "7 8 9 10 11", "12", "30 4 19"};

/// What the model says after the prompts, three tokens each.
std::vector<std::string> said_by(const EvalBench& bench) {
  std::vector<std::string> out;
  weft::model::GenerateOptions options;
  options.max_new_tokens = 3;
  for (const auto& one : weft::model::generate(bench.runtime.model, bench.runtime.tokenizer, kPrompts, options))
    out.push_back(one.text);
  return out;
}

Examples choice_examples(const EvalBench& bench) {
  return bench.examples(Kind::kChoice, {choosing("5 6", {"7", "8 9"}, 1), choosing("5", {"10", "11 12", "13"}, 0)});
}

}  // namespace

TEST_CASE("eval/answers: greedy answers are compared with every right one, in batches of any size") {
  for (const char* folder : {"llama", "gpt2", "t5"}) {
    CAPTURE(std::string(folder));
    const EvalBench bench(folder, std::string(folder) == "t5" ? 1 : -1);
    const std::vector<std::string> said = said_by(bench);
    std::vector<Example> list;
    for (size_t i = 0; i < said.size(); ++i) list.push_back(asked(kPrompts[i], " " + said[i] + " \n"));
    list[1].completion = "3 3 3 3 3";
    list[2].completion = "3 3 3 3 3";
    list[2].answers = {"3 3 3 3 3", said[2]};
    const Examples examples = bench.examples(Kind::kCompletion, list);
    EvalOptions options{.metrics = {"loss", "exact_match", "normalized_match", "rouge_l"}, .max_new_tokens = 3};
    for (const std::int64_t budget : {1, 12, 4096}) {
      options.batch_tokens = budget;
      const Report report = bench.run(examples, options);
      const std::vector<double> scores = {1.0, 0.0, 1.0, 1.0};
      for (size_t i = 0; i < scores.size(); ++i) {
        CHECK(report.examples[i].prediction == said[i]);
        CHECK(report.examples[i].score == scores[i]);
        CHECK(report.examples[i].nll > 0);
      }
      CHECK(report.metrics[1].name == "exact_match");
      CHECK(report.metrics[1].value == 0.75);
      CHECK(report.metrics[2].value == 0.75);
      CHECK(report.metrics[3].value >= 0.75);
    }
  }
}

TEST_CASE("eval/answers: score and prediction are those of the first metric that gives them") {
  const EvalBench bench("llama");
  const std::vector<std::string> said = said_by(bench);
  const Examples examples = bench.examples(Kind::kCompletion, {asked(kPrompts[0], said[0] + " 3 3")});
  const Report rouge = bench.run(examples, {.metrics = {"rouge_l", "exact_match"}, .max_new_tokens = 3});
  CHECK(rouge.examples[0].score == doctest::Approx(0.75));  // precision 1, recall 3 of 5
  CHECK(rouge.metrics[1].value == 0.0);
  CHECK(bench.run(examples, {.metrics = {"exact_match", "rouge_l"}, .max_new_tokens = 3}).examples[0].score == 0.0);
  const Report plain = bench.run(examples);
  CHECK_FALSE(plain.examples[0].score.has_value());
  CHECK(plain.examples[0].prediction.empty());
}

TEST_CASE("eval/answers: they end before a stop string, and have room for the longest right answer by default") {
  const EvalBench bench("llama");
  weft::model::GenerateOptions generating;
  generating.max_new_tokens = 12;
  const auto whole =
      weft::model::generate(bench.runtime.model, bench.runtime.tokenizer, std::vector<std::string>{"5 6"}, generating);
  const std::vector<std::int64_t> ids = whole.front().ids;
  REQUIRE(ids.size() == 12);
  const Examples examples = bench.examples(Kind::kCompletion, {asked("5 6", "7 8 9 10")});
  // Four tokens of the right answer and eight to spare.
  CHECK(bench.run(examples, {.metrics = {"exact_match"}}).examples[0].prediction == whole.front().text);
  const std::string third = std::to_string(ids[2]);
  const std::string before = whole.front().text.substr(0, whole.front().text.find(third));
  CHECK(bench.run(examples, {.metrics = {"exact_match"}, .stop = {third}}).examples[0].prediction == before);
  CHECK(
      says(bench.refused<UsageError>(examples, {.metrics = {"exact_match"}, .stop = {""}}), "a stop string is empty"));
  KeptWarnings log;
  bench.run(examples, {.metrics = {"exact_match"}, .stop = {"8"}, .log = &log});
  REQUIRE(log.warnings.size() == 1);
  CHECK(says(log.warnings[0], "data.jsonl:1: every right answer holds a stop string"));
}

TEST_CASE("eval/answers: by default no more new tokens than learned positions leave room for") {
  const EvalBench bench("gpt2");
  const std::string nearly = text_of_ids(std::vector<std::int64_t>(38, 7));
  const Examples examples = bench.examples(Kind::kCompletion, {asked(nearly, "5"), asked("6", "5")});
  const Report report = bench.run(examples, {.metrics = {"exact_match"}});
  CHECK(report.examples.size() == 2);
  CHECK(says(bench.refused<InputError>(examples, {.metrics = {"exact_match"}, .max_new_tokens = 10}),
             "has 40 positions"));
}

TEST_CASE("eval/answers: metrics that do not fit the examples or the model") {
  const EvalBench causal("llama"), encoder("bert_sentence");
  const auto completions = [](const EvalBench& bench) { return bench.examples(Kind::kCompletion, {asked("5", "6")}); };
  CHECK(says(causal.refused<UsageError>(causal.examples(Kind::kText, {asked("5 6", "")}), {.metrics = {"exact_match"}}),
             "does not fit text examples: it compares a generated answer"));
  CHECK(says(causal.refused<UsageError>(completions(causal), {.metrics = {"choice"}}),
             "does not fit prompt/completion examples: it needs examples with 'prompt', 'choices' and 'answer'"));
  CHECK(says(causal.refused<UsageError>(completions(causal), {.metrics = {"f1"}}), "with 'text' and 'label'"));
  CHECK(says(causal.refused<UsageError>(choice_examples(causal), {.metrics = {"accuracy"}}), "choices have 'choice'"));
  CHECK(says(causal.refused<UsageError>(choice_examples(causal), {.metrics = {"choice", "acc"}}), "given twice"));
  CHECK(says(encoder.refused<InputError>(completions(encoder), {.metrics = {"exact_match"}}), "it is an encoder"));
  CHECK(says(encoder.refused<InputError>(choice_examples(encoder), {.max_tokens = 40}), "it is an encoder"));
  CHECK(says(causal.refused<UsageError>(completions(causal), {.max_new_tokens = -1}), "max_new_tokens -1"));
  // Without a metric that compares answers none is generated.
  CHECK(says(causal.refused<UsageError>(completions(causal), {.max_new_tokens = 4}), "max_new_tokens is of generated"));
  CHECK(says(causal.refused<UsageError>(completions(causal), {.metrics = {"loss"}, .stop = {"x"}}), "stop is of"));
  CHECK(
      says(causal.refused<UsageError>(completions(causal), {.labels = {"a", "b"}}), "labels is for label similarity"));
}

TEST_CASE("eval/choices: log-likelihoods are transformers' on a tiny Llama, in batches of any size") {
  const EvalBench bench("llama");
  const Value golden = weft::io::read_json(golden_models().parent_path() / "metrics" / "golden.json");
  std::vector<Example> list;
  std::vector<std::vector<double>> values;
  for (const Value& row : golden.find("choices")->list) {
    std::vector<std::string> choices;
    for (const Value& ids : row.find("choices")->list) choices.push_back(text_of_ids(integers(&ids)));
    values.emplace_back();
    for (const Value& value : row.find("log_likelihoods")->list) values.back().push_back(*value.number());
    list.push_back(choosing(text_of_ids(integers(row.find("prompt"))), choices,
                            static_cast<std::int64_t>(list.size() % choices.size())));
  }
  const Examples examples = bench.examples(Kind::kChoice, list);
  for (const std::int64_t budget : {1, 40, 4096}) {
    const Report report = bench.run(examples, {.batch_tokens = budget});
    CHECK(report.metrics[0].name == "choice");
    CHECK(report.metrics[1].name == "choice_normalized");
    for (size_t i = 0; i < list.size(); ++i) {
      REQUIRE(report.examples[i].choices.size() == values[i].size());
      size_t best = 0;
      for (size_t k = 0; k < values[i].size(); ++k) {
        CHECK(report.examples[i].choices[k] == doctest::Approx(values[i][k]).epsilon(kTolerance));
        if (values[i][k] > values[i][best]) best = k;
      }
      const auto right = static_cast<size_t>(list[i].answer);
      CHECK(report.examples[i].nll == -report.examples[i].choices[right]);
      CHECK(report.examples[i].prediction == list[i].choices[best]);
      CHECK(report.examples[i].score == (best == right ? 1.0 : 0.0));
    }
  }
  const Report loss = bench.run(examples, {.metrics = {"loss"}});
  CHECK(loss.examples[0].choices.empty());
  CHECK(loss.examples[0].nll == doctest::Approx(-values[0][0]).epsilon(kTolerance));
  CHECK_FALSE(loss.examples[0].score.has_value());
}

TEST_CASE("eval/choices: an encoder-decoder scores them on the decoder; too long ones and empty ones are refused") {
  const EvalBench seq2seq("t5", 1), learned("gpt2");
  const Report report = seq2seq.run(choice_examples(seq2seq));
  for (size_t i = 0; i < 2; ++i) {
    const Example example = choice_examples(seq2seq).list[i];
    for (size_t k = 0; k < example.choices.size(); ++k) {
      const Examples one = seq2seq.examples(Kind::kCompletion, {asked(example.text, example.choices[k])});
      CHECK(seq2seq.run(one).examples[0].nll == doctest::Approx(-report.examples[i].choices[k]).epsilon(kTolerance));
    }
  }
  const std::string longer = text_of_ids(std::vector<std::int64_t>(40, 7));
  CHECK(says(learned.refused<InputError>(learned.examples(Kind::kChoice, {choosing("5", {"6", longer}, 0)})),
             "data.jsonl:1: 41 tokens, but base has learned positions for 40 only"));
  CHECK(says(learned.refused<InputError>(learned.examples(Kind::kChoice, {choosing("5", {"6", " "}, 0)})),
             "data.jsonl:1: choice 1 has no tokens"));
}
