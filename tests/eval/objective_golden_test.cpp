#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "io/json.h"
#include "support/eval_bench.h"
#include "weft/adapter/pool.h"
#include "weft/eval/objective.h"

namespace {

namespace fs = std::filesystem;
using weft::Value;
using weft::data::Examples;
using weft::data::Kind;
using weft::eval::Candidate;
using weft::eval::Normalization;
using weft::eval::Objective;
using weft::eval::Weights;
using weft::nn::Rule;
using weft::test::EvalBench;
using weft::test::integers;
using weft::test::text_of_ids;

// float32 forward passes of other programs, with padding and merged updates there.
constexpr double kGoldenScoreTolerance = 1e-4;

std::vector<double> doubles_of(const Value& list) {
  std::vector<double> out;
  for (const Value& item : list.list) out.push_back(*item.number());
  return out;
}

/// A golden pool on its model.
struct SearchGolden {
  fs::path folder;
  Value facts;
  EvalBench bench;
  weft::nn::Experts experts;
  Examples examples;
  std::vector<Weights> vectors;

  explicit SearchGolden(const std::string& name)
      : folder(fs::path(WEFT_SOURCE_DIR) / "tests/golden/search" / name),
        facts(weft::io::read_json(folder / "golden.json")),
        bench(name, facts.find("end")->is_null() ? -1 : static_cast<int>(*facts.find("end")->integer())) {
    std::vector<weft::adapter::Pool::Source> sources;
    for (const char* adapter : {"a", "b", "c", "d", "e"}) sources.push_back({folder / adapter, adapter});
    experts = bench.runtime.model.attach(weft::adapter::Pool::open(sources));
    std::vector<weft::data::Example> list;
    for (const Value& pair : facts.find("examples")->list)
      list.push_back(weft::test::asked(text_of_ids(integers(&pair.list[0])), text_of_ids(integers(&pair.list[1]))));
    examples = bench.examples(Kind::kCompletion, std::move(list));
    for (const Value& row : facts.find("vectors")->list) vectors.push_back(doubles_of(row));
  }

  std::vector<Candidate> scored(Rule rule, std::int64_t batch) const {
    const Objective objective(bench.runtime.model, bench.runtime.tokenizer, examples, experts, rule, {},
                              {.normalization = Normalization::kLoraHub, .lorahub_batch = batch});
    return objective.evaluate(vectors);
  }
};

/// LoRAHub's own: of the mean of the absolute weights.
double lora_hub_regulariser(const Weights& weights) {
  double sum = 0;
  for (const double weight : weights) sum += std::abs(weight);
  return 0.05 * sum / static_cast<double>(weights.size());
}

}  // namespace

TEST_CASE("eval/objective: 50 weight vectors score what PEFT and LoRAHub's own objective make of them") {
  for (const char* name : {"t5", "llama"}) {
    CAPTURE(std::string(name));
    const SearchGolden golden(name);
    REQUIRE(golden.vectors.size() == 50);
    const auto batches = integers(golden.facts.find("batches"));
    REQUIRE(batches.size() == 3);
    for (const Rule rule : {Rule::kFactors, Rule::kDelta}) {
      CAPTURE(rule == Rule::kDelta);
      const auto& wanted = golden.facts.find(rule == Rule::kDelta ? "delta" : "factors")->list;
      for (size_t b = 0; b < batches.size(); ++b) {
        const auto found = golden.scored(rule, batches[b]);
        for (size_t i = 0; i < found.size(); ++i)
          CHECK(std::abs(found[i].score / *wanted[i].list[b].number() - 1) <= kGoldenScoreTolerance);
      }
    }
    const auto whole = golden.scored(Rule::kFactors, 0);
    const auto wanted = doubles_of(*golden.facts.find("factors_regularised"));
    for (size_t i = 0; i < whole.size(); ++i)
      CHECK(std::abs((whole[i].score + lora_hub_regulariser(golden.vectors[i])) / wanted[i] - 1) <=
            kGoldenScoreTolerance);
  }
}
