#include "eval/similarity.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "support/eval_bench.h"
#include "support/make_adapter.h"
#include "weft/eval/embed.h"

namespace {

using weft::FormatError;
using weft::InputError;
using weft::UsageError;
using weft::Value;
using weft::data::Example;
using weft::data::Examples;
using weft::data::Kind;
using weft::eval::EvalOptions;
using weft::eval::Report;
using weft::test::EvalBench;
using weft::test::golden_models;
using weft::test::integers;
using weft::test::KeptWarnings;
using weft::test::labelled_text;
using weft::test::says;
using weft::test::text_of_ids;
using weft::test::write_text;

// float32 forward passes with sums in another order than transformers'; the models' own tests hold 1e-5.
constexpr double kSimilarityTolerance = 1e-5;

/// The name of a label whose description is these ids.
std::string name_of_ids(const std::vector<std::int64_t>& ids) {
  std::string out = text_of_ids(ids);
  std::replace(out.begin(), out.end(), ' ', '_');
  return out;
}

Examples two_labels(const EvalBench& bench) {
  return bench.examples(Kind::kLabel, {labelled_text("5 6 7", "8_9"), labelled_text("10 11", "12")}, {"8_9", "12"});
}

/// A folder with an adapter of one query projection.
std::filesystem::path write_query_adapter(const EvalBench& bench) {
  at::manual_seed(1);
  weft::test::NamedTensors tensors;
  weft::test::add_pair(tensors, "encoder.layer.0.attention.self.query", 24, 24, 4);
  return weft::test::write_peft(bench.dir / "adapter",
                                R"({"peft_type": "LORA", "r": 4, "lora_alpha": 4, "target_modules": ["query"],
                                    "base_model_name_or_path": "x"})",
                                tensors);
}

}  // namespace

TEST_CASE("eval/similarity: losses and predictions are transformers' on a tiny BERT, cut and described") {
  const Value golden =
      *weft::io::read_json(golden_models().parent_path() / "metrics" / "golden.json").find("similarity");
  const EvalBench bench("bert_sentence", static_cast<int>(*golden.find("end")->integer()));
  std::vector<std::string> names;
  for (const Value& label : golden.find("labels")->list) names.push_back(name_of_ids(integers(&label)));
  std::vector<Example> list;
  std::vector<double> losses;
  std::vector<size_t> best;
  for (const Value& text : golden.find("texts")->list) {
    const auto& costs = text.find("losses")->list;
    size_t cheapest = 0;
    for (size_t label = 0; label < costs.size(); ++label) {
      list.push_back(labelled_text(text_of_ids(integers(text.find("ids"))), names[label]));
      losses.push_back(*costs[label].number());
      if (*costs[label].number() < *costs[cheapest].number()) cheapest = label;
    }
    best.insert(best.end(), costs.size(), cheapest);
  }
  EvalOptions options{.metrics = {"loss", "accuracy"},
                      .temperature = *golden.find("temperature")->number(),
                      .label_template = text_of_ids(integers(golden.find("before"))) + " {label}",
                      .max_tokens = *golden.find("max_tokens")->integer()};
  KeptWarnings log;
  options.log = &log;
  const Examples examples = bench.examples(Kind::kLabel, std::move(list), names);
  for (const std::int64_t budget : {1, 60, 4096}) {
    options.batch_tokens = budget;
    const Report report = bench.run(examples, options);
    double right = 0;
    for (size_t i = 0; i < losses.size(); ++i) {
      CHECK(report.examples[i].nll == doctest::Approx(losses[i]).epsilon(kSimilarityTolerance));
      CHECK(report.examples[i].tokens == 1);
      CHECK(report.examples[i].prediction == names[best[i]]);
      CHECK(report.examples[i].score == (i % names.size() == best[i] ? 1.0 : 0.0));
      right += *report.examples[i].score;
    }
    CHECK(report.metrics[1].value == right / static_cast<double>(losses.size()));
  }
  REQUIRE(!log.warnings.empty());
  CHECK(says(log.warnings[0], "texts are longer than 20 tokens and were cut, the first at line"));
}

TEST_CASE("eval/similarity: names on the command line put indices in order, and may be more than occur") {
  const EvalBench bench("bert_sentence");
  std::vector<Example> list(2);
  list[0].text = "5 6 7", list[0].label_index = 0;
  list[1].text = "10 11", list[1].label_index = 1;
  const Examples indices = bench.examples(Kind::kLabel, list);
  const std::string said = bench.refused<FormatError>(indices);
  CHECK(says(said, "its labels are indices"));
  CHECK(says(said, "--labels no,yes"));
  const Report named = bench.run(indices, {.labels = {"8_9", "12"}}), plain = bench.run(two_labels(bench));
  for (size_t i = 0; i < 2; ++i) CHECK(named.examples[i].nll == plain.examples[i].nll);
  const Report wider = bench.run(indices, {.labels = {"8_9", "12", "20 21"}});
  CHECK(wider.examples[0].nll > plain.examples[0].nll);
  list[1].label_index = 2;
  CHECK(bench.refused<FormatError>(bench.examples(Kind::kLabel, list), {.labels = {"8_9", "12"}}) ==
        "data.jsonl:2: label 2, but the label set has 2 labels, counted from 0");
}

TEST_CASE("eval/similarity: label sets that leave nothing to choose, or lack a label") {
  const EvalBench bench("bert_sentence");
  const Examples one = bench.examples(Kind::kLabel, {labelled_text("5", "8"), labelled_text("6", "8")}, {"8"});
  CHECK(says(bench.refused<FormatError>(one), "data.jsonl: there is one label only, '8'"));
  CHECK(says(bench.refused<UsageError>(two_labels(bench), {.labels = {"12"}}), "there is one label only, '12'"));
  CHECK(says(bench.refused<UsageError>(two_labels(bench), {.labels = {"12", "12"}}), "label '12' is given twice"));
  CHECK(says(bench.refused<UsageError>(two_labels(bench), {.labels = {"12", ""}}), "a label is empty"));
  CHECK(bench.refused<FormatError>(two_labels(bench), {.labels = {"12", "8 9"}}) ==
        "data.jsonl:1: unknown label '8_9'; did you mean '8 9'?");
}

TEST_CASE("eval/similarity: options out of range") {
  const EvalBench bench("bert_sentence");
  const Examples examples = two_labels(bench);
  for (const double temperature : {0.0, -1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)})
    CHECK(says(bench.refused<UsageError>(examples, {.temperature = temperature}), "expected a number above 0"));
  CHECK(says(bench.refused<UsageError>(examples, {.label_template = "label"}), "without {label}"));
  CHECK(says(bench.refused<UsageError>(examples, {.max_tokens = -1}), "max_tokens is -1"));
}

TEST_CASE("eval/similarity: models that are not for it are named") {
  const EvalBench causal("llama"), head("bert");
  CHECK(says(causal.refused<InputError>(two_labels(causal)),
             "LlamaForCausalLM has no classification head, and label similarity needs an encoder"));
  const Examples examples = head.examples(Kind::kLabel, {labelled_text("5", "yes")}, {"yes", "no"});
  for (const EvalOptions& options :
       {EvalOptions{.temperature = 0.1}, EvalOptions{.label_template = "a {label}"}, EvalOptions{.max_tokens = 4}})
    CHECK(says(head.refused<UsageError>(examples, options), "is for label similarity"));
  CHECK(says(
      head.refused<UsageError>(examples, {.labels = {"yes", "no"}}),
      "labels is for label similarity, that is for texts with labels on an encoder without a classification head"));
}

TEST_CASE("eval/similarity: texts are cut where sentence_bert_config.json or the positions say") {
  const EvalBench bench("bert_sentence");
  const std::string longer = text_of_ids(std::vector<std::int64_t>(60, 7));
  const Examples examples =
      bench.examples(Kind::kLabel, {labelled_text(longer, "8"), labelled_text("5", "9")}, {"8", "9"});
  KeptWarnings log;
  bench.run(examples, {.log = &log});
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0] == "data.jsonl: 1 of 2 texts are longer than 40 tokens and were cut, the first at line 1");
  write_text(bench.dir / "base" / "sentence_bert_config.json", "{\"max_seq_length\": 12}");
  bench.run(examples, {.log = &log});
  CHECK(says(log.warnings.back(), "longer than 12 tokens"));
  const Examples empty = bench.examples(Kind::kLabel, {labelled_text("5", "8"), labelled_text(" ", "9")}, {"8", "9"});
  CHECK(bench.refused<FormatError>(empty) == "data.jsonl:2: the text has no tokens");
  const Examples nameless = bench.examples(Kind::kLabel, {labelled_text("5", "8")}, {"8", "_"});
  CHECK(bench.refused<FormatError>(nameless) == "label '_': the text has no tokens");
}

TEST_CASE("eval/similarity: text and labels are embedded through the composition") {
  const EvalBench bench("bert_sentence");
  const auto adapter = write_query_adapter(bench);
  const auto composition = weft::flow::attach_adapters(bench.runtime.model, {{adapter, {}}}, {2.0});
  const Examples examples = two_labels(bench);
  const Report report =
      weft::eval::evaluate(bench.runtime.model, bench.runtime.tokenizer, examples, composition, {.temperature = 0.1});
  const std::vector<std::string> texts = {"5 6 7", "10 11", "8 9", "12"};
  const weft::Tensor rows =
      weft::eval::embed(bench.runtime.model, bench.runtime.tokenizer, texts, composition).to(at::kDouble);
  const weft::Tensor logs = at::log_softmax(at::matmul(rows.slice(0, 0, 2), rows.slice(0, 2, 4).t()) / 0.1, 1);
  for (std::int64_t i = 0; i < 2; ++i)
    CHECK(report.examples[static_cast<size_t>(i)].nll ==
          doctest::Approx(-logs[i][i].item<double>()).epsilon(kSimilarityTolerance));
  CHECK(report.examples[0].nll != bench.run(examples, {.temperature = 0.1}).examples[0].nll);
}

TEST_CASE("eval/similarity: outputs that are not finite stop it") {
  const EvalBench bench("bert_sentence");
  const auto adapter = write_query_adapter(bench);
  const auto composition = weft::flow::attach_adapters(bench.runtime.model, {{adapter, {}}}, {3e38});
  const Examples examples = two_labels(bench);
  CHECK(says(weft::test::error_text<InputError>(
                 [&] { weft::eval::evaluate(bench.runtime.model, bench.runtime.tokenizer, examples, composition); }),
             "not finite"));
}
