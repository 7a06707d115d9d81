#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/safetensors_writer.h"
#include "model/session.h"
#include "support/close.h"
#include "support/error_text.h"
#include "support/golden_models.h"
#include "support/temp_dir.h"
#include "weft/adapter/pool.h"
#include "weft/model/model.h"

namespace {

namespace fs = std::filesystem;

using weft::Tensor;
using weft::adapter::Pool;
using weft::model::BaseModel;
using weft::model::Composition;
using weft::model::Session;
using weft::nn::Batch;
using weft::nn::Mix;

// Two float32 evaluations of the same formula with sums in another order, through two layers.
constexpr double kInvariantTolerance = 1e-5;

fs::path attached(const std::string& name) { return fs::path(WEFT_SOURCE_DIR) / "tests/golden/attached" / name; }

/// A pool whose adapters have unequal ranks, and the model they belong to.
struct Case {
  BaseModel model;
  Pool pool;
  weft::nn::Experts experts;
};

Case open_case(const std::string& name) {
  const weft::Value facts = weft::io::read_json(attached(name) / "golden.json");
  std::vector<Pool::Source> sources;
  for (const weft::Value& adapter : facts.find("adapters")->list)
    sources.push_back({attached(name) / adapter.scalar, adapter.scalar});
  BaseModel model = BaseModel::open(weft::test::golden_models() / facts.find("base")->scalar);
  Pool pool = Pool::open(sources);
  weft::nn::Experts experts = model.attach(pool);
  return {model, pool, experts};
}

Batch two_texts() {
  Batch batch;
  batch.ids = {{3, 17, 40, 22, 9, 31, 8}, {5, 6, 44}, {12, 50, 33, 20}};
  return batch;
}

Batch only(const Batch& batch, size_t i) {
  Batch out;
  out.ids = {batch.ids[i]};
  return out;
}

Tensor weights_table(std::int64_t rows, std::int64_t n, std::uint64_t seed) {
  at::manual_seed(seed);
  return at::randn({rows, n});
}

/// A copy of a checkpoint whose weights have Σ w ΔW added, in float64.
void write_fused(const Case& c, const std::vector<double>& weights, const fs::path& folder) {
  const fs::path from = c.model.info().path;
  fs::copy_file(from / "config.json", folder / "config.json");
  const auto checkpoint = weft::io::Checkpoint::open(from);
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, at] : checkpoint.tensors()) tensors[name] = at.file->load(name).to(at::kDouble);
  for (size_t e = 0; e < weights.size(); ++e) {
    const auto& adapter = c.pool.adapters()[e];
    for (const auto& module : adapter.modules()) {
      Tensor& weight = tensors.at(module.name + ".weight");
      const Tensor delta = weft::test::dense(adapter.load(module).blocks[0]) * weights[e];
      weight = weight + (c.model.info().family == "gpt2" ? delta.t() : delta);  // its Conv1D is [in, out]
    }
  }
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  weft::io::SafetensorsWriter writer(folder / "model.safetensors", names, {});
  for (const auto& [name, tensor] : tensors) writer.add(name, tensor.to(at::kFloat));
  writer.finish();
}

}  // namespace

TEST_CASE("model/invariants: attached is the same as fused into the weights") {
  for (const char* name : {"llama_three", "gpt2_two"}) {
    CAPTURE(std::string(name));
    const Case c = open_case(name);
    std::vector<double> weights = {0.7, -1.3, 0.4};
    weights.resize(c.pool.size());
    const weft::test::TempDir folder;
    write_fused(c, weights, folder.path());
    const BaseModel fused = BaseModel::open(folder.path());
    const Tensor expected = fused.logits(two_texts());
    CHECK(weft::test::relative(c.model.logits(two_texts(), {c.experts, Mix::of(weights)}), expected) <=
          kInvariantTolerance);
    CHECK(weft::test::relative(c.model.logits(two_texts()), expected) > 0.01);  // the adapters do something
  }
}

TEST_CASE("model/invariants: a one-hot gate is that adapter alone") {
  const Case c = open_case("llama_three");
  for (size_t e = 0; e < c.pool.size(); ++e) {
    std::vector<double> one(c.pool.size(), 0.0);
    one[e] = 1.0;
    const auto alone = c.model.attach(Pool(std::vector{c.pool.adapters()[e]}));
    const Tensor expected = c.model.logits(two_texts(), {alone, Mix::of({1.0})});
    CHECK(weft::test::relative(c.model.logits(two_texts(), {c.experts, Mix::of(one)}), expected) <=
          kInvariantTolerance);
  }
}

TEST_CASE("model/invariants: a batch of different adapters is the same as one by one") {
  for (const char* name : {"llama_three", "gpt2_two", "llama_two_dora", "llama_two_embeddings"}) {
    CAPTURE(std::string(name));
    const Case c = open_case(name);
    const auto count = static_cast<std::int64_t>(c.pool.size());
    const Batch batch = two_texts();
    const std::vector<std::int64_t> choice = {count - 1, -1, 0};
    const Tensor together = c.model.logits(batch, {c.experts, Mix::choose(choice, count)});
    std::vector<Tensor> single;
    for (size_t i = 0; i < batch.ids.size(); ++i)
      single.push_back(c.model.logits(only(batch, i), {c.experts, Mix::choose({choice[i]}, count)}));
    CHECK(weft::test::relative(together, at::cat(single)) <= kInvariantTolerance);
    CHECK(weft::test::relative(single[1], c.model.logits(only(batch, 1))) <= kInvariantTolerance);
  }
}

TEST_CASE("model/invariants: a population of weights is the same as candidate by candidate") {
  // llama_some_layers: the first block has no adapter, so candidates share it.
  for (const char* name : {"llama_three", "llama_some_layers", "llama_two_dora", "llama_two_embeddings"}) {
    CAPTURE(std::string(name));
    const Case c = open_case(name);
    const Batch batch = two_texts();
    const Tensor weights = weights_table(4, static_cast<std::int64_t>(c.pool.size()), 7);
    Mix mix;
    mix.rows = Mix::Rows::kCandidate;
    mix.weights = weights;
    const std::vector<std::int64_t> first = {1, 2, 1};
    const Tensor together = c.model.nll(batch, first, {c.experts, mix}).view({4, -1});
    const Tensor logits = c.model.logits(batch, {c.experts, mix}).view({4, batch.tokens(), -1});
    for (std::int64_t p = 0; p < 4; ++p) {
      Mix one;
      one.weights = weights.narrow(0, p, 1);
      CHECK(weft::test::relative(together[p], c.model.nll(batch, first, {c.experts, one})) <= kInvariantTolerance);
      CHECK(weft::test::relative(logits[p], c.model.logits(batch, {c.experts, one})) <= kInvariantTolerance);
    }
  }
}

TEST_CASE("model/invariants: populations work for encoder-decoders and classifiers too") {
  const Case t5 = open_case("t5_two");
  Batch inputs = two_texts(), targets = two_texts();
  std::swap(targets.ids[0], targets.ids[1]);
  Mix mix;
  mix.rows = Mix::Rows::kCandidate;
  mix.weights = weights_table(3, static_cast<std::int64_t>(t5.pool.size()), 8);
  const Tensor together = t5.model.nll(inputs, targets, {t5.experts, mix}).view({3, -1});
  for (std::int64_t p = 0; p < 3; ++p) {
    Mix one;
    one.weights = mix.weights.narrow(0, p, 1);
    CHECK(weft::test::relative(together[p], t5.model.nll(inputs, targets, {t5.experts, one})) <= kInvariantTolerance);
  }
  const Case bert = open_case("bert_plain");
  mix.weights = at::tensor({1.0f, 0.0f, 1.0f}).view({3, 1});  // the adapter has a head of its own: whole or not at all
  const Tensor classes = bert.model.classify(inputs, {bert.experts, mix}).view({3, 3, -1});
  const Tensor embeddings = bert.model.embed(inputs, {bert.experts, mix}).view({3, 3, -1});
  for (std::int64_t p = 0; p < 3; ++p) {
    Mix one;
    one.weights = mix.weights.narrow(0, p, 1);
    CHECK(weft::test::relative(classes[p], bert.model.classify(inputs, {bert.experts, one})) <= kInvariantTolerance);
    CHECK(weft::test::relative(embeddings[p], bert.model.embed(inputs, {bert.experts, one})) <= kInvariantTolerance);
  }
}

TEST_CASE("model/invariants: attaching and running never touches the base weights") {
  const Case c = open_case("llama_three");
  const Tensor before = c.model.logits(two_texts());
  c.model.logits(two_texts(), {c.experts, Mix::of({1.0, 2.0, 3.0})});
  c.model.attach(c.pool);
  CHECK(at::equal(c.model.logits(two_texts()), before));
  CHECK(at::equal(c.model.logits(two_texts(), {c.experts, Mix::of({0.0, 0.0, 0.0})}), before));
}

TEST_CASE("model/invariants: padding on either side changes nothing") {
  const BaseModel model = BaseModel::open(weft::test::golden_models() / "llama");
  const Batch batch = two_texts();
  for (const bool left : {false, true}) {
    const Tensor ids = at::zeros({3, 9}, at::kLong), mask = at::zeros({3, 9}, at::kLong);
    for (size_t i = 0; i < batch.ids.size(); ++i) {
      const auto length = static_cast<std::int64_t>(batch.ids[i].size());
      const auto row = static_cast<std::int64_t>(i);
      const std::int64_t at = left ? 9 - length : 0;
      ids[row].narrow(0, at, length).copy_(at::tensor(at::ArrayRef<std::int64_t>(batch.ids[i]), at::kLong));
      mask[row].narrow(0, at, length).fill_(1);
    }
    CHECK(at::equal(model.logits(Batch::from_padded(ids, mask)), model.logits(batch)));
  }
}

TEST_CASE("model/invariants: steps with a cache are the same as the whole text at once") {
  for (const char* name : {"llama_three", "gpt2_two", "llama_two_dora"}) {
    CAPTURE(std::string(name));
    const Case c = open_case(name);
    const auto count = static_cast<std::int64_t>(c.pool.size());
    const Mix mix = Mix::choose({count - 1, 0, -1}, count);
    Batch batch = two_texts();
    Session session(c.model, {c.experts, mix}, batch);
    Tensor logits = session.begin();
    for (std::int64_t step = 0; step < 6; ++step) {
      const Tensor whole = c.model.logits(batch, {c.experts, mix});
      std::int64_t last = -1;
      std::vector<std::int64_t> next;
      for (size_t i = 0; i < batch.ids.size(); ++i) {
        last += static_cast<std::int64_t>(batch.ids[i].size());
        CHECK(weft::test::relative(logits[static_cast<std::int64_t>(i)], whole[last]) <= kInvariantTolerance);
        next.push_back((7 * step + 11 * static_cast<std::int64_t>(i)) % 50);
        batch.ids[i].push_back(next.back());
      }
      logits = session.feed(next);
    }
  }
}

TEST_CASE("model/invariants: weights in bfloat16 stay within the rounding of the weights") {
  const BaseModel full = BaseModel::open(weft::test::golden_models() / "llama");
  weft::model::OpenOptions options;
  options.dtype = at::kBFloat16;
  const BaseModel half = BaseModel::open(weft::test::golden_models() / "llama", options);
  const double difference = weft::test::relative(half.logits(two_texts()), full.logits(two_texts()));
  // Weights are rounded once, to 2^-9 relative, and the arithmetic is float32; two layers gather some of these.
  CHECK(difference <= 16 * 0x1p-9);
  CHECK(difference > 0);
}

TEST_CASE("model/invariants: gradients of the weights of experts agree with differences") {
  const Case c = open_case("llama_three");
  const Batch batch = two_texts();
  const std::vector<std::int64_t> first = {1, 1, 1};
  Mix mix = Mix::of({0.3, -0.2, 0.5});
  mix.weights.requires_grad_(true);
  c.model.nll(batch, first, {c.experts, mix}).sum().backward();
  const Tensor gradient = mix.weights.grad().view({-1});
  for (std::int64_t e = 0; e < 3; ++e) {
    const double step = 1e-2;
    double sides[2];
    for (const int side : {0, 1}) {
      std::vector<double> moved = {0.3, -0.2, 0.5};
      moved[static_cast<size_t>(e)] += side == 0 ? step : -step;
      sides[side] = c.model.nll(batch, first, {c.experts, Mix::of(moved)}).to(at::kDouble).sum().item<double>();
    }
    // A central difference of a float32 sum: the step's square and 1e-6 / step.
    CHECK(gradient[e].item<double>() == doctest::Approx((sides[0] - sides[1]) / (2 * step)).epsilon(5e-3));
  }
}

TEST_CASE("model/invariants: what does not fit is refused by name") {
  const Case c = open_case("llama_three");
  const auto says = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  const auto text_of = [](auto&& call) -> std::string {
    try {
      call();
    } catch (const weft::Error& error) {
      return error.what();
    }
    return {};
  };
  Batch wrong = two_texts();
  wrong.ids[1][0] = 5000;
  CHECK(says(text_of([&] { c.model.logits(wrong); }), "token id 5000"));
  CHECK(says(text_of([&] { c.model.logits(two_texts(), {c.experts, Mix::of({1.0})}); }), "1 weight"));
  CHECK(says(text_of([&] { c.model.classify(two_texts()); }), "no classification head"));
  CHECK(says(text_of([&] { c.model.logits(two_texts(), two_texts()); }), "no decoder over an encoder"));
  CHECK(says(text_of([&] { c.model.logits(Batch{}); }), "no sequences"));
  wrong.ids[1].clear();
  CHECK(says(text_of([&] { c.model.logits(wrong); }), "is empty"));
}
