#include "model/random_model.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "model/model_data.h"
#include "model/parameters.h"
#include "support/error_text.h"
#include "support/golden_models.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace weft::model {
namespace {

using test::error_text;
using test::says;
using test::TempDir;

std::map<std::string, Tensor> weights_of(const BaseModel& model) {
  nn::Network network = model.data().network;
  std::map<std::string, Tensor> out;
  for (const Parameter& parameter : parameters_of(network)) out.emplace(parameter.name, *parameter.places[0]);
  return out;
}

/// A folder with a config alone.
BaseModel drawn(const std::string& config, std::uint64_t seed = 3) {
  const TempDir dir;
  test::write_text(dir / "config.json", config);
  return random_model(dir.path(), seed);
}

double deviation_of(const Tensor& x) { return std::sqrt(x.to(at::kDouble).square().mean().item<double>()); }

constexpr const char* kTinyGpt2 = R"({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 64,
  "n_layer": 2, "n_head": 4, "vocab_size": 300, "n_positions": 128, "initializer_range": 0.05})";

}  // namespace

TEST_CASE("model/random_model: every family is drawn with the shapes of its files and runs") {
  for (const test::GoldenModel& golden : test::all_golden_models()) {
    if (golden.family == "gemma3") continue;  // a text model inside another is refused
    CAPTURE(golden.folder);
    const BaseModel model = random_model(golden.path, 5);
    const auto mine = weights_of(model), stored = weights_of(BaseModel::open(golden.path));
    for (const auto& [name, weight] : mine) {
      CAPTURE(name);
      CHECK((weight.scalar_type() == at::kFloat));
      CHECK(at::isfinite(weight).all().item<bool>());
      if (stored.count(name) != 0) CHECK(stored.at(name).sizes() == weight.sizes());
    }
    for (const auto& [name, weight] : stored) {
      CAPTURE(name);
      // A tied head is not drawn, though a file may hold one that differs.
      CHECK((mine.count(name) == 1 || name == "lm_head.weight"));
    }
    nn::Batch batch, target;
    batch.ids = {{1, 4, 7, 5}}, target.ids = {{3, 2}};
    const Tensor out = golden.kind == "seq2seq"  ? model.logits(batch, target)
                       : golden.kind == "causal" ? model.logits(batch)
                                                 : model.states(batch);
    CHECK(at::isfinite(out).all().item<bool>());
  }
}

TEST_CASE("model/random_model: a seed and a name make a weight") {
  const auto a = weights_of(drawn(kTinyGpt2)), b = weights_of(drawn(kTinyGpt2)), c = weights_of(drawn(kTinyGpt2, 4));
  for (const auto& [name, weight] : a) {
    CHECK(at::equal(weight, b.at(name)));
    if (weight.dim() == 2) CHECK_FALSE(at::equal(weight, c.at(name)));
  }
  CHECK_FALSE(at::equal(a.at("transformer.h.0.mlp.c_fc.weight"), a.at("transformer.h.1.mlp.c_fc.weight")));
}

TEST_CASE("model/random_model: GPT-2's spread, and what is no matrix") {
  const auto all = weights_of(drawn(kTinyGpt2));
  // The deviation of 4096 and more draws is within 4 per cent of the true one (3.5 standard errors).
  const auto near = [&](const std::string& name, double wanted) {
    CAPTURE(name);
    CHECK(deviation_of(all.at(name)) == doctest::Approx(wanted).epsilon(0.04));
    CHECK(std::abs(all.at(name).mean().item<double>()) < wanted * 0.06);
  };
  near("transformer.wte.weight", 0.05);
  near("transformer.wpe.weight", 0.05);
  near("transformer.h.0.attn.c_attn.weight", 0.05);
  near("transformer.h.1.mlp.c_fc.weight", 0.05);
  near("transformer.h.0.attn.c_proj.weight", 0.025);
  near("transformer.h.1.mlp.c_proj.weight", 0.025);
  CHECK(all.at("transformer.h.0.attn.c_attn.bias").abs().max().item<double>() == 0.0);
  CHECK(all.at("transformer.ln_f.weight").eq(1.0).all().item<bool>());
  CHECK(all.count("lm_head.weight") == 0);
}

TEST_CASE("model/random_model: rows of padding and norms that add one") {
  const auto llama = [](const std::string& more) {
    return weights_of(drawn(R"({"model_type": "llama", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers":
      1, "num_attention_heads": 2, "vocab_size": 20, "tie_word_embeddings": false)" +
                            more + "}"));
  };
  const auto is_zero = [](const Tensor& row) { return row.abs().max().item<double>() == 0.0; };
  CHECK_FALSE(is_zero(llama("").at("model.embed_tokens.weight")[0]));
  CHECK(is_zero(llama(R"(, "pad_token_id": 3)").at("model.embed_tokens.weight")[3]));
  CHECK_FALSE(is_zero(llama(R"(, "pad_token_id": 3)").at("lm_head.weight")[3]));
  const auto bert = [](const std::string& more) {
    return weights_of(drawn(R"({"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8,
      "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 20)" +
                            more + "}"));
  };
  CHECK(is_zero(bert("").at("embeddings.word_embeddings.weight")[0]));
  CHECK_FALSE(is_zero(bert(R"(, "pad_token_id": null)").at("embeddings.word_embeddings.weight")[0]));
  const auto gemma = weights_of(random_model(test::golden_models() / "gemma2", 1));
  CHECK(is_zero(gemma.at("model.norm.weight")));
}

TEST_CASE("model/random_model: a config that cannot be meant") {
  CHECK(says(error_text<InputError>([] {
               drawn(R"({"model_type": "llama", "hidden_size": 1000000, "intermediate_size": 2000000000,
        "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 2000000000})");
             }),
             "so many are not drawn"));
  CHECK(says(error_text<InputError>([] { drawn(R"({"model_type": "nonsense"})"); }), "unknown family"));
  CHECK_THROWS_AS(random_model(test::golden_models() / "gemma3_nested", 1), UnsupportedError);
  const TempDir empty;
  CHECK(says(error_text<InputError>([&] { random_model(empty.path(), 1); }), "no config.json"));
}

}  // namespace weft::model
