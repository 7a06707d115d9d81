#include "weft/eval/objective.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "support/objective_bench.h"

namespace {

using weft::FormatError;
using weft::UsageError;
using weft::data::Example;
using weft::data::Examples;
using weft::data::Kind;
using weft::eval::Candidate;
using weft::eval::EvalOptions;
using weft::eval::Normalization;
using weft::eval::Objective;
using weft::eval::ObjectiveOptions;
using weft::eval::Report;
using weft::eval::Weights;
using weft::nn::Rule;
using weft::test::asked;
using weft::test::drawn_candidates;
using weft::test::error_text;
using weft::test::head_examples;
using weft::test::ObjectiveBench;
using weft::test::says;

// The same float32 forward passes with sums in another order, through two or three layers.
constexpr double kScoreTolerance = 1e-5;

/// What is scored, on which golden model.
struct ObjectiveCase {
  std::string golden, metric;
  Examples (*examples)(const ObjectiveBench&);
};

std::vector<ObjectiveCase> objective_cases() {
  const auto texts = [](const ObjectiveBench& bench) { return bench.some(Kind::kText); };
  const auto completions = [](const ObjectiveBench& bench) { return bench.some(Kind::kCompletion); };
  const auto choices = [](const ObjectiveBench& bench) { return bench.some(Kind::kChoice); };
  const auto labels = [](const ObjectiveBench& bench) { return bench.some(Kind::kLabel); };
  const auto head = [](const ObjectiveBench& bench) { return head_examples(bench); };
  return {{"llama", "loss", texts},
          {"llama", "perplexity", texts},
          {"llama", "loss", completions},
          {"llama", "loss", choices},
          {"llama", "choice", choices},
          {"llama", "choice_normalized", choices},
          {"llama", "rouge_l", completions},
          {"t5", "loss", completions},
          {"t5", "exact_match", completions},
          {"bert", "loss", head},
          {"bert", "accuracy", head},
          {"bert", "f1", head},
          {"bert_sentence", "loss", labels},
          {"bert_sentence", "accuracy", labels},
          {"bert_sentence", "f1_weighted", labels}};
}

/// The same candidate by evaluate(), the ordinary way.
Report evaluated(const ObjectiveBench& bench, const Examples& examples, const std::string& metric,
                 const Weights& weights, Rule rule, const std::vector<std::int64_t>& groups) {
  weft::model::Composition composition{bench.experts, weft::nn::Mix::of(weights, rule)};
  if (!groups.empty()) {
    composition.mix.weights = composition.mix.weights.view({1, 2, -1});
    composition.mix.group_of_module = groups;
  }
  return weft::eval::evaluate(bench.runtime.model, bench.runtime.tokenizer, examples, composition,
                              {.metrics = {metric}});
}

void check_same(const Candidate& found, const Report& wanted, const Objective& objective, bool generated) {
  CHECK(objective.metric_value(found.score) == doctest::Approx(wanted.metrics[0].value).epsilon(kScoreTolerance));
  REQUIRE(found.examples.size() == wanted.examples.size());
  for (size_t i = 0; i < found.examples.size(); ++i) {
    const auto &one = found.examples[i], &other = wanted.examples[i];
    CHECK(one.predicted_label == other.predicted_label);
    CHECK(one.label == other.label);
    CHECK(one.answer == other.answer);
    REQUIRE(one.choices.size() == other.choices.size());
    for (size_t k = 0; k < one.choices.size(); ++k)
      CHECK(one.choices[k] == doctest::Approx(other.choices[k]).epsilon(kScoreTolerance));
    if (generated) continue;
    CHECK(one.nll == doctest::Approx(other.nll).epsilon(kScoreTolerance));
    CHECK(one.tokens == other.tokens);
  }
}

/// Bit for bit.
void check_equal(const std::vector<Candidate>& some, const std::vector<Candidate>& others) {
  REQUIRE(some.size() == others.size());
  for (size_t c = 0; c < some.size(); ++c) {
    CHECK(some[c].score == others[c].score);
    REQUIRE(some[c].examples.size() == others[c].examples.size());
    for (size_t i = 0; i < some[c].examples.size(); ++i) CHECK(some[c].examples[i].nll == others[c].examples[i].nll);
  }
}

Objective lora_hub(const ObjectiveBench& bench, const Examples& examples, std::int64_t batch) {
  return bench.objective(examples, {.normalization = Normalization::kLoraHub, .lorahub_batch = batch});
}

}  // namespace

TEST_CASE("eval/objective: candidates score what evaluate() says of them, together or apart, in both rules") {
  for (const ObjectiveCase& one : objective_cases()) {
    CAPTURE(one.golden);
    CAPTURE(one.metric);
    const ObjectiveBench bench(one.golden, {3, 3, 3});
    const Examples examples = one.examples(bench);
    const bool generated = one.metric == "rouge_l" || one.metric == "exact_match";
    for (const Rule rule : {Rule::kDelta, Rule::kFactors})
      for (const std::vector<std::int64_t>& groups : {std::vector<std::int64_t>{}, {1, 0}}) {
        const auto candidates = drawn_candidates(4, groups.empty() ? 3 : 6, 5);
        std::vector<Report> reports;
        for (const Weights& weights : candidates)
          reports.push_back(evaluated(bench, examples, one.metric, weights, rule, groups));
        for (const std::int64_t tokens : {1, 50, 4096}) {
          const Objective objective =
              bench.objective(examples, {.metric = one.metric, .population_tokens = tokens}, rule, groups);
          CHECK(objective.groups() == (groups.empty() ? 1 : 2));
          const auto found = objective.evaluate(candidates);
          REQUIRE(found.size() == candidates.size());
          for (size_t c = 0; c < found.size(); ++c) check_same(found[c], reports[c], objective, generated);
        }
      }
  }
}

TEST_CASE("eval/objective: of unequal ranks deltas can be summed, and factors cannot be averaged") {
  const ObjectiveBench bench("llama", {2, 5});
  const Examples examples = bench.some(Kind::kCompletion);
  const Objective objective = bench.objective(examples);
  const Report report = evaluated(bench, examples, "loss", {0.5, -1.0}, Rule::kDelta, {});
  CHECK(objective.evaluate({{0.5, -1.0}})[0].score ==
        doctest::Approx(report.metrics[0].value).epsilon(kScoreTolerance));
  CHECK(says(error_text<UsageError>([&] { bench.objective(examples, {}, Rule::kFactors); }), "unequal ranks"));
}

TEST_CASE("eval/objective: chunks apart give the bytes of the whole list") {
  for (const char* golden : {"llama", "bert_sentence"}) {
    const ObjectiveBench bench(golden, {3, 2, 4});
    const Examples examples = bench.some(std::string(golden) == "llama" ? Kind::kCompletion : Kind::kLabel);
    const Objective objective = bench.objective(examples, {.population_tokens = 100});
    REQUIRE(objective.chunk() > 1);
    REQUIRE(objective.chunk() < 7);
    CHECK(objective.chunk() == static_cast<size_t>(100 / objective.tokens()));
    const auto candidates = drawn_candidates(7, 3, 1);
    std::vector<Candidate> apart;
    for (size_t begin = 0; begin < candidates.size(); begin += objective.chunk()) {
      const auto first = candidates.begin() + static_cast<std::ptrdiff_t>(begin);
      const auto last =
          candidates.begin() + static_cast<std::ptrdiff_t>(std::min(begin + objective.chunk(), size_t{7}));
      for (Candidate& one : objective.evaluate({first, last})) apart.push_back(std::move(one));
    }
    check_equal(apart, objective.evaluate(candidates));
  }
}

TEST_CASE("eval/objective: a candidate whose outputs are not finite is alone with that") {
  for (const char* golden : {"llama", "t5", "bert_sentence"}) {
    CAPTURE(std::string(golden));
    const ObjectiveBench bench(golden, {3, 3});
    const Examples examples = bench.some(std::string(golden) == "bert_sentence" ? Kind::kLabel : Kind::kCompletion);
    for (const char* metric : {"loss", "exact_match"}) {
      if (std::string(golden) == "bert_sentence" && std::string(metric) != "loss") continue;
      const Objective objective = bench.objective(examples, {.metric = metric});
      const auto found = objective.evaluate({{0.5, 0.1}, {1e38, 1e38}, {-1.0, 0.3}});
      CHECK(std::isnan(found[1].score));
      CHECK(std::isnan(found[1].examples[0].nll));
      CHECK(std::isnan(objective.score(found[1].examples)));
      for (const size_t c : {size_t{0}, size_t{2}}) {
        CHECK(std::isfinite(found[c].score));
        const auto alone = objective.evaluate({c == 0 ? Weights{0.5, 0.1} : Weights{-1.0, 0.3}});
        CHECK(found[c].score == alone[0].score);
      }
    }
  }
}

TEST_CASE("eval/objective: an adapter that spoils everything spoils only candidates that use it") {
  const ObjectiveBench sound("llama", {3});
  const ObjectiveBench spoiled("llama", {3, 3}, 1e38);
  const Examples examples = spoiled.some(Kind::kText);
  const Objective objective = spoiled.objective(examples);
  const auto found = objective.evaluate({{1.0, 0.0}, {0.0, 0.0}, {0.0, 1.0}});
  CHECK(std::isnan(found[0].score));
  CHECK(std::isnan(found[2].score));
  CHECK(found[1].score ==
        doctest::Approx(sound.objective(examples).evaluate({{0.0}})[0].score).epsilon(kScoreTolerance));
}

TEST_CASE("eval/objective: normalisations are their closed forms, a part is its examples") {
  for (const char* golden : {"llama", "t5"}) {
    const ObjectiveBench bench(golden, {3, 3});
    const Examples examples = bench.some(Kind::kCompletion);
    const std::vector<Weights> one = {{0.4, -0.7}};
    const Candidate whole = bench.objective(examples).evaluate(one)[0];
    const auto nll = [&](size_t i) { return whole.examples[i].nll; };
    const auto tokens = [&](size_t i) { return static_cast<double>(whole.examples[i].tokens); };
    const auto mean = [&](size_t begin, size_t end) {
      double sum = 0, count = 0;
      for (size_t i = begin; i < end; ++i) sum += nll(i), count += tokens(i);
      return sum / count;
    };
    CHECK(whole.score == doctest::Approx(mean(0, 5)));
    const Objective example = bench.objective(examples, {.normalization = Normalization::kExample});
    double sum = 0;
    for (size_t i = 0; i < 5; ++i) sum += nll(i) / tokens(i);
    CHECK(example.evaluate(one)[0].score == doctest::Approx(sum / 5));
    CHECK(lora_hub(bench, examples, 0).evaluate(one)[0].score == doctest::Approx(mean(0, 5) / 5));
    CHECK(lora_hub(bench, examples, 99).evaluate(one)[0].score == doctest::Approx(mean(0, 5) / 5));
    CHECK(lora_hub(bench, examples, 1).evaluate(one)[0].score == doctest::Approx(sum / 5));
    CHECK(lora_hub(bench, examples, 2).evaluate(one)[0].score ==
          doctest::Approx((mean(0, 2) + mean(2, 4) + mean(4, 5)) / 5));
    const Candidate part = lora_hub(bench, examples, 2).evaluate(one, {1, 3, 4})[0];
    REQUIRE(part.examples.size() == 3);
    for (const auto& [at, index] : {std::pair<size_t, size_t>{0, 1}, {1, 3}, {2, 4}})
      CHECK(part.examples[at].nll == doctest::Approx(nll(index)).epsilon(kScoreTolerance));
    CHECK(part.score == doctest::Approx(((nll(1) + nll(3)) / (tokens(1) + tokens(3)) + nll(4) / tokens(4)) / 3)
                            .epsilon(kScoreTolerance));
    CHECK(lora_hub(bench, examples, 2).score({whole.examples[1], whole.examples[3], whole.examples[4]}, {1, 3, 4}) ==
          doctest::Approx(part.score).epsilon(kScoreTolerance));
  }
}

TEST_CASE("eval/objective: parts work for every kind") {
  for (const ObjectiveCase& one : objective_cases()) {
    CAPTURE(one.golden);
    CAPTURE(one.metric);
    const ObjectiveBench bench(one.golden, {3, 3});
    const Examples examples = one.examples(bench);
    Examples some = examples;
    some.list = {examples.list[0], examples.list[2]};
    // A generated answer is as long as the longest right one of the file allows: given here for both.
    EvalOptions eval;
    if (one.metric == "rouge_l" || one.metric == "exact_match") eval.max_new_tokens = 4;
    const auto candidates = drawn_candidates(3, 2, 9);
    const Objective whole = bench.objective(examples, {.metric = one.metric, .eval = eval});
    const Objective alone = bench.objective(some, {.metric = one.metric, .eval = eval});
    const auto found = whole.evaluate(candidates, {0, 2}), wanted = alone.evaluate(candidates);
    for (size_t c = 0; c < 3; ++c) CHECK(found[c].score == doctest::Approx(wanted[c].score).epsilon(kScoreTolerance));
  }
}

TEST_CASE("eval/objective: without adapters it scores the base, and takes others on") {
  const ObjectiveBench bench("llama", {3, 2}), bare("llama", {});
  const Examples examples = bench.some(Kind::kCompletion);
  const Objective base = bare.objective(examples);
  CHECK(base.adapters() == 0);
  CHECK(base.chunk() > 1);
  const auto found = base.evaluate({{}, {}});
  CHECK(found[0].score == found[1].score);
  CHECK(base.slope({}).score == found[0].score);
  CHECK(base.slope({}).gradient.empty());
  const Objective other = base.with_experts(bench.experts);
  check_equal(other.evaluate({{1.0, 0.5}, {0.0, 0.0}}), bench.objective(examples).evaluate({{1.0, 0.5}, {0.0, 0.0}}));
  CHECK(other.evaluate({{0.0, 0.0}})[0].score == doctest::Approx(found[0].score).epsilon(kScoreTolerance));
}

TEST_CASE("eval/objective: what lies below the first adapted block is kept, and changes nothing") {
  const ObjectiveBench bench("llama", {});
  const auto folder = std::filesystem::path(WEFT_SOURCE_DIR) / "tests/golden/attached/llama_some_layers/adapter";
  const weft::nn::Experts experts = bench.runtime.model.attach(weft::adapter::Pool::open({{folder, "adapter"}}));
  const Examples examples = bench.some(Kind::kCompletion);
  const Objective objective = bench.objective(examples).with_experts(experts);
  const auto first = objective.evaluate({{0.7}}, {0, 2, 3}), again = objective.evaluate({{0.7}}, {0, 2, 3});
  check_equal(first, again);
  const auto together = objective.evaluate({{0.7}, {-0.4}}), alone = objective.evaluate({{-0.4}});
  CHECK(together[1].score == doctest::Approx(alone[0].score).epsilon(kScoreTolerance));
  const Report report = weft::eval::evaluate(bench.runtime.model, bench.runtime.tokenizer, examples,
                                             {experts, weft::nn::Mix::of({-0.4})});
  CHECK(alone[0].score == doctest::Approx(report.metrics[0].value).epsilon(kScoreTolerance));
  CHECK(objective.slope({-0.4}).score == doctest::Approx(alone[0].score).epsilon(kScoreTolerance));
}

TEST_CASE("eval/objective: what does not fit is refused") {
  const ObjectiveBench bench("llama", {3, 3});
  const Examples examples = bench.some(Kind::kCompletion);
  const auto refused = [&](const Examples& given, const ObjectiveOptions& options,
                           const std::vector<std::int64_t>& groups = {}) {
    return error_text<UsageError>([&] { bench.objective(given, options, Rule::kDelta, groups); });
  };
  CHECK(says(refused(bench.examples(Kind::kCompletion, {}), {}), "there are no examples"));
  CHECK(says(refused(examples, {.metric = "los"}), "loss"));
  CHECK(says(refused(examples, {.metric = "accuracy"}), "it needs examples with 'text' and 'label'"));
  CHECK(says(refused(examples, {.metric = "exact_match", .normalization = Normalization::kExample}),
             "the normalization 'example' is of the metric 'loss'"));
  CHECK(says(refused(examples, {.lorahub_batch = 5}), "lorahub_batch is of the normalization 'lorahub'"));
  CHECK(
      says(refused(examples, {.normalization = Normalization::kLoraHub, .lorahub_batch = -1}), "lorahub_batch is -1"));
  CHECK(says(refused(examples, {.population_tokens = 0}), "population_tokens is 0"));
  CHECK(says(refused(examples, {.eval = {.labels = {"a", "b"}}}), "labels is for label similarity"));
  CHECK(says(refused(examples, {.eval = {.max_new_tokens = 5}}), "max_new_tokens is of generated answers"));
  CHECK(says(refused(examples, {}, {0}), "1 modules"));
  CHECK(says(refused(examples, {}, {0, -1}), "group -1"));
  const Objective objective = bench.objective(examples);
  const auto wrong = [&](const Weights& weights, const std::vector<size_t>& part = {}) {
    return error_text<UsageError>([&] { objective.evaluate({{0.0, 0.0}, weights}, part); });
  };
  CHECK(says(wrong({1.0}), "1 weights, expected 2"));
  CHECK(says(wrong({1.0, std::nan("")}), "expected a finite float32"));
  CHECK(says(wrong({1.0, 1e300}), "expected a finite float32"));
  CHECK(says(wrong({1.0, 0.0}, {5}), "example 5 of a part, counted from 0, but there are 5"));
  CHECK(says(wrong({1.0, 0.0}, {2, 1}), "not ascending: 1 after 2"));
  CHECK(says(error_text<UsageError>([&] { objective.score({}); }), "0 results of 5 examples"));
  CHECK(objective.evaluate({}).empty());
}

TEST_CASE("eval/objective: examples are checked when it is made") {
  const ObjectiveBench llama("llama", {3}), sentence("bert_sentence", {3}), gpt2("gpt2", {});
  const Examples endless = llama.examples(Kind::kCompletion, {asked("5 6", "7"), asked("5", " ")});
  CHECK(says(error_text<FormatError>([&] { llama.objective(endless); }), "data.jsonl:2"));
  CHECK(says(error_text<weft::InputError>([&] { sentence.objective(sentence.some(Kind::kCompletion)); }),
             "examples do not suit"));
  CHECK(says(error_text<weft::InputError>(
                 [&] { sentence.objective(sentence.some(Kind::kCompletion), {.metric = "exact_match"}); }),
             "examples do not suit"));
  const Examples single = sentence.examples(
      Kind::kLabel, {weft::test::labelled_text("5 6", "7"), weft::test::labelled_text("8", "7")}, {"7"});
  CHECK(says(error_text<FormatError>([&] { sentence.objective(single); }), "there is one label only"));
  std::string longer = "5";
  for (int i = 0; i < 60; ++i) longer += " 6";
  const Examples too_long = gpt2.examples(Kind::kCompletion, {asked("5 6", "7"), asked(longer, "8")});
  const std::string said = error_text<weft::InputError>([&] { gpt2.objective(too_long); });
  CHECK(says(said, "data.jsonl:2: 62 tokens"));
  CHECK(says(said, "learned positions"));
}
