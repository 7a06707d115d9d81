#include "weft/model/generate.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "model/generating.h"
#include "model/session.h"
#include "support/close.h"
#include "support/error_text.h"
#include "support/golden_models.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"

namespace {

using weft::Value;
using weft::model::BaseModel;
using weft::model::Composition;
using weft::model::GenerateOptions;
using weft::model::Kind;
using weft::model::Stop;
using weft::test::endless;
using weft::test::error_text;
using weft::test::Ids;
using weft::test::integers;
using weft::test::says;
using weft::test::tiny;
using weft::test::up_to;

struct GoldenGreedy {
  Ids prompt, ids;
};

std::vector<GoldenGreedy> golden_greedy(const Value& facts) {
  std::vector<GoldenGreedy> out;
  for (const Value& entry : facts.find("greedy")->list)
    out.push_back({integers(entry.find("prompt")), integers(entry.find("ids"))});
  return out;
}

/// Logits of the token after `grown`, a new sequence that follows `prompt`, without any cache.
at::Tensor next_logits(const BaseModel& model, const Ids& prompt, Ids grown) {
  at::Tensor all;
  if (model.info().kind == Kind::kSeq2Seq) {
    grown.push_back(0);  // of a target every id is predicted, so the last one does not matter
    all = model.logits({{prompt}, {}}, {{grown}, {}});
  } else {
    grown.insert(grown.begin(), prompt.begin(), prompt.end());
    all = model.logits({{grown}, {}});
  }
  return all[all.size(0) - 1];
}

struct Warnings : weft::Log {
  std::string all;
  void warning(std::string_view text) override { all += std::string(text) + "\n"; }
};

/// Three adapters on the tiny llama's attention and feed-forward blocks.
weft::adapter::Pool three_adapters(const weft::test::TempDir& dir) {
  at::manual_seed(3);
  std::vector<weft::adapter::Pool::Source> sources;
  for (const char* name : {"x", "y", "z"}) {
    weft::test::NamedTensors tensors;
    for (const char* layer : {"model.layers.0.", "model.layers.1."}) {
      weft::test::add_pair(tensors, layer + std::string("self_attn.q_proj"), 24, 24, 4);
      weft::test::add_pair(tensors, layer + std::string("mlp.down_proj"), 24, 37, 4);
    }
    const std::string config =
        R"({"peft_type": "LORA", "r": 4, "lora_alpha": 4, "target_modules": ["q_proj", "down_proj"]})";
    sources.push_back({weft::test::write_peft(dir / name, config, tensors), name});
  }
  return weft::adapter::Pool::open(sources);
}

/// Greedy with the penalty by its definition: a full forward pass for every token.
Ids penalized_by_definition(const BaseModel& model, const Ids& prompt, double penalty, int steps) {
  Ids out, acted_on = prompt;
  if (model.info().kind == Kind::kSeq2Seq) acted_on = {*model.info().start_token};
  for (int step = 0; step < steps; ++step) {
    at::Tensor logits = next_logits(model, prompt, out).clone();
    const at::Tensor seen = at::tensor(at::ArrayRef<std::int64_t>(acted_on), at::kLong);
    const at::Tensor old = logits.index_select(0, seen);
    logits.index_copy_(0, seen, at::where(old < 0, old * penalty, old / penalty));
    out.push_back(logits.argmax().item<std::int64_t>());
    acted_on.push_back(out.back());
  }
  return out;
}

}  // namespace

TEST_CASE("model/generate: transformers' greedy ids for every family") {
  for (const auto& golden : weft::test::all_golden_models()) {
    if (golden.kind == "encoder") continue;
    CAPTURE(golden.folder);
    const BaseModel model = BaseModel::open(golden.path);
    const std::vector<GoldenGreedy> greedy = golden_greedy(golden.facts);
    std::vector<Ids> prompts;
    for (const GoldenGreedy& g : greedy) prompts.push_back(g.prompt);
    const auto got = weft::model::generate(model, prompts, up_to(20));
    REQUIRE(got.size() == greedy.size());
    for (size_t i = 0; i < got.size(); ++i) {
      CHECK(got[i].ids == greedy[i].ids);
      CHECK(got[i].prompt_ids == greedy[i].prompt);
    }
  }
}

TEST_CASE("model/generate: cached logits equal uncached ones for every family") {
  for (const auto& golden : weft::test::all_golden_models()) {
    if (golden.kind == "encoder") continue;
    CAPTURE(golden.folder);
    const BaseModel model = BaseModel::open(golden.path);
    const std::vector<GoldenGreedy> greedy = golden_greedy(golden.facts);
    weft::nn::Batch prompts;
    for (const GoldenGreedy& g : greedy) prompts.ids.push_back(g.prompt);
    weft::model::Session session(model, {}, prompts);
    at::Tensor logits = session.begin();
    const size_t steps = std::min(greedy[0].ids.size(), greedy[1].ids.size());
    for (size_t step = 0; step < steps; ++step) {
      const auto grown = [&](size_t i) {
        return Ids(greedy[i].ids.begin(), greedy[i].ids.begin() + static_cast<std::ptrdiff_t>(step));
      };
      // Float32 sums in another order: a few units in the last place per layer. T5 does not scale its scores, whose
      // rounding grows with them: libtorch's kernel for one sequence and ours for several are further apart.
      const double rounding = golden.kind == "seq2seq" ? 2e-5 : 1e-5;
      for (size_t i = 0; i < 2; ++i)
        CHECK(weft::test::relative(logits[static_cast<std::int64_t>(i)],
                                   next_logits(model, greedy[i].prompt, grown(i))) < rounding);
      logits = session.feed({greedy[0].ids[step], greedy[1].ids[step]});
    }
  }
}

TEST_CASE("model/generate: a batch gives what its sequences give alone, drawn or not, in any parts") {
  for (const std::string folder : {"llama", "gpt2", "t5"}) {
    const BaseModel model = tiny(folder);
    const std::vector<Ids> prompts = {{5, 6, 7, 8, 9, 10, 11}, {12}, {5, 6, 7}, {20, 3}, {9, 9, 9, 9}};
    for (const double temperature : {0.0, 1.3}) {
      GenerateOptions o = endless(12);
      o.temperature = temperature;
      o.top_p = 0.95;
      o.seed = 77;
      const auto together = weft::model::generate(model, prompts, o);
      o.batch = 2;
      const auto in_pairs = weft::model::generate(model, prompts, o);
      o.batch = 1;
      for (size_t i = 0; i < prompts.size(); ++i) {
        o.first_sequence = i;
        const auto alone = weft::model::generate(model, {prompts[i]}, o);
        CHECK(together[i].ids == alone[0].ids);
        CHECK(in_pairs[i].ids == alone[0].ids);
        CHECK(alone[0].ids.size() == 12);
      }
    }
  }
}

TEST_CASE("model/generate: the seed decides, and equal prompts differ") {
  const BaseModel model = tiny("llama");
  GenerateOptions o = endless(16);
  o.temperature = 2.0;
  const auto draw = [&](std::uint64_t seed) {
    o.seed = seed;
    return weft::model::generate(model, {{5, 6}, {5, 6}}, o);
  };
  const auto first = draw(1), again = draw(1), other = draw(2);
  CHECK(first[0].ids == again[0].ids);
  CHECK(first[0].ids != other[0].ids);
  CHECK(first[0].ids != first[1].ids);
}

TEST_CASE("model/generate: sequences that end leave, the others go on as if alone") {
  const BaseModel model = tiny("llama");
  const std::vector<Ids> prompts = {{5, 6, 7, 8}, {12}, {30, 31, 32}, {9, 40}};
  const auto free = weft::model::generate(model, prompts, endless(15));
  for (size_t chosen = 0; chosen < prompts.size(); ++chosen) {
    GenerateOptions o = up_to(15);
    o.end_tokens = Ids{free[chosen].ids[4], free[(chosen + 1) % 4].ids[9]};
    const auto got = weft::model::generate(model, prompts, o);
    for (size_t i = 0; i < prompts.size(); ++i) {
      Ids wanted;
      Stop stop = Stop::kLength;
      for (const std::int64_t id : free[i].ids) {
        wanted.push_back(id);
        if (id != (*o.end_tokens)[0] && id != (*o.end_tokens)[1]) continue;
        stop = Stop::kEnd;
        break;
      }
      CHECK(got[i].ids == wanted);
      CHECK(got[i].stop == stop);
    }
  }
}

TEST_CASE("model/generate: the penalty acts on prompt and output, of a seq2seq model on the output") {
  for (const std::string folder : {"llama", "bloom", "t5", "flan_t5"}) {
    CAPTURE(folder);
    const BaseModel model = tiny(folder);
    const Ids prompt = {5, 17, 33, 8};
    for (const double penalty : {0.6, 1.8}) {
      GenerateOptions o = endless(12);
      o.repetition_penalty = penalty;
      CHECK(weft::model::generate(model, {prompt}, o)[0].ids == penalized_by_definition(model, prompt, penalty, 12));
    }
  }
}

TEST_CASE("model/generate: every prompt with an adapter of its own equals one by one") {
  const weft::test::TempDir dir;
  const BaseModel model = tiny("llama");
  Composition c;
  c.experts = model.attach(three_adapters(dir));
  const std::vector<Ids> prompts = {{5, 6, 7, 8}, {5, 6, 7, 8}, {5, 6, 7, 8}, {30, 31}};
  const Ids choice = {0, 2, -1, 1};
  c.mix = weft::nn::Mix::choose(choice, 3);
  GenerateOptions o = endless(10);
  o.batch = 3;
  const auto together = weft::model::generate(model, prompts, o, c);
  for (size_t i = 0; i < prompts.size(); ++i) {
    Composition alone = c;
    std::vector<double> weights(3, 0.0);
    if (choice[i] >= 0) weights[static_cast<size_t>(choice[i])] = 1.0;
    alone.mix = weft::nn::Mix::of(weights);
    CHECK(together[i].ids == weft::model::generate(model, {prompts[i]}, o, alone)[0].ids);
  }
  CHECK(together[2].ids == weft::model::generate(model, {prompts[2]}, o)[0].ids);
  CHECK(together[0].ids != together[2].ids);
  const std::vector<Ids> two = {{5}, {6}};
  CHECK(says(error_text<weft::UsageError>([&] { weft::model::generate(model, two, o, c); }), "4 sequences"));
  c.mix.rows = weft::nn::Mix::Rows::kToken;
  CHECK(says(error_text<weft::UsageError>([&] { weft::model::generate(model, prompts, o, c); }), "one per prompt"));
}

TEST_CASE("model/generate: lengths beyond learned positions are refused, beyond others warned of") {
  const std::vector<Ids> prompts = {{5}, Ids(30, 7)};
  CHECK(weft::model::generate(tiny("gpt2"), prompts, endless(10))[1].ids.size() == 10);
  const std::string refusal =
      error_text<weft::InputError>([&] { weft::model::generate(tiny("gpt2"), prompts, endless(11)); });
  CHECK(says(refusal, "prompt 2: 30 tokens and 11 new ones are 41"));
  CHECK(says(refusal, "40 positions"));
  Warnings log;
  CHECK(weft::model::generate(tiny("llama"), prompts, endless(11), {}, log)[1].ids.size() == 11);
  CHECK(says(log.all, "prompt 2: 30 tokens and 11 new ones are more than the 40 positions"));
  GenerateOptions o = up_to(std::numeric_limits<std::int64_t>::max());
  CHECK(says(error_text<weft::InputError>([&] { weft::model::generate(tiny("gpt2"), prompts, o); }), "40 positions"));
}

TEST_CASE("model/generate: wrong options and prompts are refused by name") {
  const BaseModel model = tiny("llama");
  const auto refusal = [&](const std::vector<Ids>& prompts, const GenerateOptions& o) {
    return error_text<weft::UsageError>([&] { weft::model::generate(model, prompts, o); });
  };
  CHECK(says(refusal({{5}}, up_to(0)), "max_new_tokens is 0"));
  CHECK(says(refusal({{5}}, up_to(-3)), "max_new_tokens is -3"));
  GenerateOptions o;
  o.batch = 0;
  CHECK(says(refusal({{5}}, o), "batch is 0"));
  o = {};
  o.temperature = -1;
  CHECK(says(refusal({{5}}, o), "temperature is -1"));
  o = {};
  o.stop = {"x"};
  CHECK(says(refusal({{5}}, o), "stop strings need a tokenizer"));
  o = {};
  o.end_tokens = Ids{61};
  CHECK(says(refusal({{5}}, o), "end token 61 is not in the vocabulary of 61"));
  CHECK(says(refusal({{5}, {}}, {}), "prompt 2 is empty"));
  CHECK(says(refusal({{5, 61}}, {}), "prompt 1: token 61"));
  CHECK(says(refusal({{-1}}, {}), "token -1"));
  CHECK(weft::model::generate(model, std::vector<Ids>{}).empty());
  CHECK(says(error_text<weft::UsageError>([&] { weft::model::generate(tiny("bert"), {{5}}); }), "encoder"));
}
