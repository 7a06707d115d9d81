#include "weft/eval/evaluate.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "io/json.h"
#include "support/error_text.h"
#include "support/id_model.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "weft/flow/runtime.h"

namespace {

namespace fs = std::filesystem;
using weft::FormatError;
using weft::InputError;
using weft::UsageError;
using weft::Value;
using weft::data::Examples;
using weft::data::read_examples;
using weft::eval::EvalOptions;
using weft::eval::Report;
using weft::test::error_text;
using weft::test::golden_models;
using weft::test::integers;
using weft::test::says;
using weft::test::TempDir;
using weft::test::text_of_ids;
using weft::test::write_id_model;

// float32 forward passes with sums in another order than transformers'; the models' own tests hold 1e-5 on logits.
constexpr double kNllTolerance = 1e-5;

/// A golden model that reads ids, and a file of examples for it.
struct Bench {
  TempDir dir;
  weft::flow::Runtime runtime;

  explicit Bench(const std::string& golden, int end = -1)
      : runtime(weft::flow::open_runtime({.base = write_id_model(dir / "base", golden, end)})) {}

  Examples examples(const std::string& lines) const {
    std::ofstream(dir / "data.jsonl", std::ios::binary) << lines;
    return read_examples(dir / "data.jsonl");
  }
  Report run(const std::string& lines, const EvalOptions& options = {}) const {
    return weft::eval::evaluate(runtime.model, runtime.tokenizer, examples(lines), runtime.composition, options);
  }
  /// What a refused evaluation says, without the folder.
  template <class E>
  std::string refused(const std::string& lines, const EvalOptions& options = {}) const {
    std::string said = error_text<E>([&] { run(lines, options); });
    for (const std::string folder = dir.path().string() + "/"; said.find(folder) != std::string::npos;)
      said.erase(said.find(folder), folder.size());
    return said;
  }
};

std::vector<Value> golden_cases(const std::string& folder) {
  return weft::io::read_json(golden_models() / folder / "golden.json").find("cases")->list;
}

std::string text_line(const std::vector<std::int64_t>& ids) { return "{\"text\": \"" + text_of_ids(ids) + "\"}\n"; }

std::string prompt_line(const std::vector<std::int64_t>& prompt, const std::vector<std::int64_t>& completion) {
  return "{\"prompt\": \"" + text_of_ids(prompt) + "\", \"completion\": \"" + text_of_ids(completion) + "\"}\n";
}

/// Warnings of a run.
struct WarningLog : weft::Log {
  std::vector<std::string> warnings;
  void warning(std::string_view text) override { warnings.emplace_back(text); }
};

}  // namespace

TEST_CASE("eval/evaluate: texts cost what transformers says, in file order, in batches of any size") {
  for (const char* folder : {"llama", "gpt2", "gpt_neox", "opt", "gemma3", "bloom"}) {
    CAPTURE(std::string(folder));
    const Bench bench(folder);
    std::string lines;
    std::vector<double> losses;
    std::vector<std::int64_t> tokens;
    for (const Value& one : golden_cases(folder)) {
      const std::vector<std::int64_t> ids = integers(one.find("ids"));
      if (ids.size() < 2) continue;
      lines += text_line(ids);
      losses.push_back(*one.find("loss_sum")->number());
      tokens.push_back(static_cast<std::int64_t>(ids.size()) - 1);
    }
    double nll = 0, count = 0;
    for (size_t i = 0; i < losses.size(); ++i) nll += losses[i], count += static_cast<double>(tokens[i]);
    for (const std::int64_t budget : {1, 30, 4096}) {
      CAPTURE(budget);
      const Report report = bench.run(lines, {.batch_tokens = budget});
      REQUIRE(report.examples.size() == losses.size());
      for (size_t i = 0; i < losses.size(); ++i) {
        CHECK(report.examples[i].tokens == tokens[i]);
        CHECK(report.examples[i].nll == doctest::Approx(losses[i]).epsilon(kNllTolerance));
        CHECK_FALSE(report.examples[i].score.has_value());
      }
      REQUIRE(report.metrics.size() == 2);
      CHECK(report.metrics[0].name == "loss");
      CHECK(report.metrics[0].value == doctest::Approx(nll / count).epsilon(kNllTolerance));
      CHECK(report.metrics[1].name == "perplexity");
      CHECK(report.metrics[1].value == std::exp(report.metrics[0].value));
    }
  }
}

TEST_CASE("eval/evaluate: of a prompt and its completion the completion is scored") {
  const Bench bench("llama");
  std::vector<std::int64_t> ids;
  double loss = 0;
  for (const Value& one : golden_cases("llama"))
    if (ids.empty() && one.find("ids")->list.size() > 10) {
      ids = integers(one.find("ids"));
      loss = *one.find("loss_sum")->number();
    }
  REQUIRE(!ids.empty());
  const std::vector<std::int64_t> head(ids.begin(), ids.begin() + 4), tail(ids.begin() + 4, ids.end());
  const double front = bench.run(text_line(head)).examples[0].nll;
  const Report back = bench.run(prompt_line(head, tail));
  CHECK(back.examples[0].tokens == static_cast<std::int64_t>(tail.size()));
  CHECK(front + back.examples[0].nll == doctest::Approx(loss).epsilon(kNllTolerance));
}

TEST_CASE("eval/evaluate: the prompt has special tokens, the completion has none") {
  const Bench bench("llama", 2);
  const double nll = bench.run(prompt_line({5, 6}, {7, 8})).examples[0].nll;
  weft::nn::Batch batch;
  batch.ids = {{5, 6, 2, 7, 8}};
  const double expected = bench.runtime.model.nll(batch, {3}).to(at::kDouble).sum().item<double>();
  CHECK(nll == doctest::Approx(expected).epsilon(1e-12));  // the same forward pass
  CHECK(bench.run(text_line({5, 6})).examples[0].tokens == 2);
  CHECK(bench.run(prompt_line({}, {7})).examples[0].tokens == 1);  // the special token is the prompt
}

TEST_CASE("eval/evaluate: an encoder-decoder reads the prompt and is scored on the completion and its end") {
  for (const char* folder : {"t5", "flan_t5"}) {
    CAPTURE(std::string(folder));
    const Bench bench(folder, 1);
    std::string lines;
    std::vector<double> losses;
    const auto without_end = [](std::vector<std::int64_t> ids) {
      REQUIRE(ids.back() == 1);
      ids.pop_back();
      return ids;
    };
    for (const Value& one : golden_cases(folder)) {
      const std::vector<std::int64_t> labels = integers(one.find("labels"));
      if (labels.size() < 2) continue;
      lines += prompt_line(without_end(integers(one.find("ids"))), without_end(labels));
      losses.push_back(*one.find("loss_sum")->number());
    }
    const Report report = bench.run(lines, {.batch_tokens = 20});
    for (size_t i = 0; i < losses.size(); ++i)
      CHECK(report.examples[i].nll == doctest::Approx(losses[i]).epsilon(kNllTolerance));
    CHECK(says(bench.refused<InputError>(text_line({5, 6})), "give it examples with 'prompt' and 'completion'"));
    CHECK(bench.refused<FormatError>("{\"prompt\": \"5\", \"completion\": \" \"}") ==
          "data.jsonl:1: the completion has no tokens");
  }
}

TEST_CASE("eval/evaluate: labels by name and by index, their cross entropy and the most probable one") {
  for (const char* folder : {"bert", "roberta", "distilbert"}) {
    CAPTURE(std::string(folder));
    const Bench bench(folder);
    const std::vector<std::string>& names = bench.runtime.model.info().labels;
    std::string lines;
    std::vector<double> losses;
    std::vector<std::pair<std::string, bool>> best;
    for (const Value& one : golden_cases(folder)) {
      if (one.find("token_types") != nullptr || one.find("ids")->list.empty()) continue;
      const auto& costs = one.find("losses")->list;
      size_t cheapest = 0;
      for (size_t label = 1; label < costs.size(); ++label)
        if (*costs[label].number() < *costs[cheapest].number()) cheapest = label;
      for (size_t label = 0; label < costs.size(); ++label) {
        const std::string as = label % 2 == 0 ? "\"" + names[label] + "\"" : std::to_string(label);
        lines += "{\"text\": \"" + text_of_ids(integers(one.find("ids"))) + "\", \"label\": " + as + "}\n";
        losses.push_back(*costs[label].number());
        best.emplace_back(names[cheapest], cheapest == label);
      }
    }
    const Report report = bench.run(lines);
    REQUIRE(report.examples.size() == losses.size());
    double right = 0;
    for (size_t i = 0; i < losses.size(); ++i) {
      CHECK(report.examples[i].nll == doctest::Approx(losses[i]).epsilon(kNllTolerance));
      CHECK(report.examples[i].tokens == 1);
      CHECK(report.examples[i].prediction == best[i].first);
      CHECK(report.examples[i].score == (best[i].second ? 1.0 : 0.0));
      right += best[i].second ? 1 : 0;
    }
    CHECK(report.metrics[0].name == "accuracy");
    CHECK(report.metrics[0].value == right / static_cast<double>(losses.size()));
  }
}

TEST_CASE("eval/evaluate: labels that the model does not have") {
  const Bench bench("bert");
  CHECK(bench.refused<FormatError>("{\"text\": \"5\", \"label\": 0}\n{\"text\": \"5\", \"label\": 3}") ==
        "data.jsonl:2: label 3, but the model has 3 labels, counted from 0");
  CHECK(bench.refused<FormatError>("{\"text\": \"5\", \"label\": \"yess\"}") ==
        "data.jsonl:1: unknown label 'yess'; did you mean 'yes'?");
  CHECK(bench.refused<FormatError>("{\"text\": \"5\", \"label\": \"zzzzzz\"}") ==
        "data.jsonl:1: unknown label 'zzzzzz'; expected one of no, maybe, yes");
}

TEST_CASE("eval/evaluate: examples and metrics that do not suit the model") {
  const Bench causal("llama"), encoder("bert"), headless("bert_sentence");
  CHECK(says(causal.refused<InputError>("{\"text\": \"5\", \"label\": 0}"), "has no classification head"));
  CHECK(says(headless.refused<InputError>("{\"text\": \"5\", \"label\": 0}"), "its labels are indices"));
  CHECK(says(encoder.refused<InputError>(text_line({5, 6})), "it is an encoder"));
  CHECK(says(causal.refused<UsageError>(text_line({5, 6}), {.metrics = {"accuracy"}}), "does not fit text examples"));
  CHECK(says(causal.refused<UsageError>(text_line({5, 6}), {.batch_tokens = 0}), "expected at least 1"));
}

TEST_CASE("eval/evaluate: nothing to read or to score") {
  const Bench bench("llama");
  CHECK(bench.refused<FormatError>(text_line({5, 6}) + "{\"text\": \" \"}") == "data.jsonl:2: the text has no tokens");
  CHECK(bench.refused<FormatError>(text_line({5, 6}) + text_line({5})) ==
        "data.jsonl:2: the text has one token only: nothing predicts the first, so there is nothing to score");
  CHECK(bench.refused<FormatError>(prompt_line({}, {5})) == "data.jsonl:1: the prompt has no tokens");
  CHECK(bench.refused<FormatError>("{\"prompt\": \"5\", \"completion\": \"\\t\"}") ==
        "data.jsonl:1: the completion has no tokens");
}

TEST_CASE("eval/evaluate: longer than learned positions is refused, than others warned of") {
  const std::vector<std::int64_t> fits(40, 5), longer(41, 5);
  const Bench learned("gpt2");
  CHECK(learned.run(text_line(fits)).examples[0].tokens == 39);
  CHECK(learned.refused<InputError>(text_line(fits) + text_line(longer)) ==
        "data.jsonl:2: 41 tokens, but base has learned positions for 40 only; shorten the example");
  CHECK(says(learned.refused<InputError>(prompt_line(fits, {5})), "data.jsonl:1: 41 tokens"));

  const Bench rotary("llama");
  WarningLog log;
  const std::vector<std::int64_t> endless(static_cast<size_t>(rotary.runtime.model.info().positions) + 5, 7);
  EvalOptions options;
  options.log = &log;
  CHECK(rotary.run(text_line(fits) + text_line(endless), options).examples.size() == 2);
  REQUIRE(log.warnings.size() == 1);
  CHECK(says(log.warnings[0], "data.jsonl: 1 of 2 examples are longer than"));
  CHECK(says(log.warnings[0], "at line 2"));
}

TEST_CASE("eval/evaluate: a tokenizer larger than the vocabulary does not belong to the model") {
  const TempDir dir;
  const std::string said = error_text<InputError>(
      [&] { weft::flow::open_runtime({.base = write_id_model(dir / "base", "llama", -1, 2000)}); });
  CHECK(says(said, "has 2000 tokens, but the vocabulary of"));
}

TEST_CASE("eval/evaluate: stories260K") {
  const fs::path folder = weft::test::shared_data("models/stories260K");
  if (folder.empty()) return;
  const weft::flow::Runtime runtime = weft::flow::open_runtime({.base = folder});
  const TempDir dir;
  std::ofstream file(dir / "data.jsonl");
  std::vector<double> means;
  std::vector<std::int64_t> tokens;
  const Value golden = weft::io::read_json(folder / "golden_forward.json");
  for (const Value& one : golden.list) {
    if (one.find("mean_nll_of_prompt_tokens") == nullptr) continue;
    file << "{\"text\": " << weft::io::to_json(Value::text(one.find("prompt")->scalar), -1) << "}\n";
    means.push_back(*one.find("mean_nll_of_prompt_tokens")->number());
    tokens.push_back(static_cast<std::int64_t>(one.find("prompt_ids")->list.size()) - 1);
  }
  file.close();
  const Report report = weft::eval::evaluate(runtime.model, runtime.tokenizer, read_examples(dir / "data.jsonl"));
  REQUIRE(report.examples.size() == means.size());
  for (size_t i = 0; i < means.size(); ++i) {
    CHECK(report.examples[i].tokens == tokens[i]);
    const double mean = report.examples[i].nll / static_cast<double>(tokens[i]);
    CHECK(mean == doctest::Approx(means[i]).epsilon(kNllTolerance));
  }
}
