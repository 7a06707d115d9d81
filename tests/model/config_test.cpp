#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/json.h"
#include "io/safetensors_writer.h"
#include "support/close.h"
#include "support/error_text.h"
#include "support/golden_models.h"
#include "support/temp_dir.h"
#include "weft/model/model.h"

namespace {

namespace fs = std::filesystem;
using weft::FormatError;
using weft::InputError;
using weft::Tensor;
using weft::UnsupportedError;
using weft::Value;
using weft::model::BaseModel;
using weft::test::error_text;
using weft::test::says;
using weft::test::TempDir;

void write_text(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

/// A copy of a golden model whose config and weights may be damaged.
class Damaged {
 public:
  explicit Damaged(const std::string& golden) {
    for (const auto& entry : fs::directory_iterator(weft::test::golden_models() / golden))
      if (!entry.path().filename().string().starts_with("golden"))
        fs::copy(entry.path(), dir_.path() / entry.path().filename());
    config_ = weft::io::read_json(dir_ / "config.json");
  }

  /// Sets a key of the config to a JSON text.
  Damaged& set(const std::string& key, const std::string& json) {
    config_.set(key, weft::io::parse_json(json, "test"));
    write_text(dir_ / "config.json", weft::io::to_json(config_));
    return *this;
  }
  Damaged& drop(const std::string& key) {
    auto& map = config_.map;
    for (size_t i = 0; i < map.size(); ++i)
      if (map[i].first == key) map.erase(map.begin() + static_cast<std::ptrdiff_t>(i));
    config_.key_places.clear();
    write_text(dir_ / "config.json", weft::io::to_json(config_));
    return *this;
  }
  /// Writes model.safetensors anew with some tensors changed.
  Damaged& weights(const std::function<void(std::map<std::string, Tensor>&)>& change) {
    std::map<std::string, Tensor> tensors;
    {
      const weft::io::Checkpoint checkpoint = weft::io::Checkpoint::open(dir_.path());
      for (const auto& [name, tensor] : checkpoint.tensors()) tensors[name] = tensor.file->load(name).clone();
    }
    change(tensors);
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors) names.push_back(name);
    weft::io::SafetensorsWriter writer(dir_ / "model.safetensors", names, {{"format", "pt"}});
    for (const auto& [name, tensor] : tensors) writer.add(name, tensor);
    writer.finish();
    return *this;
  }
  fs::path operator/(const std::string& name) const { return dir_ / name; }

  template <class E = InputError>
  std::string open_error() const {
    const std::string text = error_text<E>([&] { BaseModel::open(dir_.path()); });
    CHECK(text == error_text<E>([&] { BaseModel::inspect(dir_.path()); }));  // the headers are enough to see it
    return text;
  }
  BaseModel open() const { return BaseModel::open(dir_.path()); }

 private:
  TempDir dir_;
  Value config_;
};

/// What opening `golden` says with one key of its config changed.
template <class E = InputError>
std::string config_error(const std::string& golden, const std::string& key, const std::string& json) {
  return Damaged(golden).set(key, json).open_error<E>();
}

void check_says(const std::string& text, const std::vector<std::string>& parts) {
  CAPTURE(text);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(says(text, part));
  }
}

}  // namespace

TEST_CASE("model/config: what is not known is refused by name, with what is") {
  check_says(config_error<UnsupportedError>("llama", "model_type", "\"mamba\""),
             {"config.json", "model_type", "unknown family 'mamba'", "llama", "gpt2", "t5", "distilbert"});
  check_says(config_error<UnsupportedError>("bert", "architectures", "[\"BertForQuestionAnswering\"]"),
             {"config.json", "architectures", "'BertForQuestionAnswering'", "BertForSequenceClassification"});
  check_says(config_error<UnsupportedError>("llama", "hidden_act", "\"mish\""),
             {"config.json", "activation 'mish'", "silu", "gelu_new"});
  check_says(config_error<UnsupportedError>("gpt2", "activation_function", "\"quick_gelu\""), {"'quick_gelu'"});
  check_says(config_error<UnsupportedError>("t5", "feed_forward_proj", "\"gated-mish\""),
             {"feed_forward_proj", "'mish'"});
  check_says(config_error<UnsupportedError>("llama", "rope_scaling", R"({"rope_type": "mrope", "factor": 2.0})"),
             {"config.json", "rope_type", "'mrope'", "yarn", "longrope"});
  check_says(config_error<UnsupportedError>("llama", "quantization_config", R"({"bits": 4})"),
             {"config.json", "quantization_config", "before quantisation"});
  check_says(config_error<UnsupportedError>("qwen2_layer_types", "layer_types",
                                            R"(["full_attention", "linear", "full_attention"])"),
             {"layer_types", "'linear'", "sliding_attention"});
}

TEST_CASE("model/config: options that are not computed are refused, not ignored") {
  check_says(config_error<UnsupportedError>("gpt2", "add_cross_attention", "true"), {"add_cross_attention"});
  check_says(config_error<UnsupportedError>("bert", "is_decoder", "true"), {"is_decoder", "encoder only"});
  check_says(config_error<UnsupportedError>("roberta", "add_cross_attention", "true"), {"add_cross_attention"});
  check_says(config_error<UnsupportedError>("bert", "position_embedding_type", "\"relative_key\""),
             {"position_embedding_type", "'relative_key'", "absolute"});
  check_says(config_error<UnsupportedError>("bert", "problem_type", "\"ranking\""), {"problem_type", "'ranking'"});
  check_says(config_error<UnsupportedError>("t5", "is_encoder_decoder", "false"), {"is_encoder_decoder"});
}

TEST_CASE("model/config: a head that gives no classes is left out with a warning") {
  for (const char* json : {"\"regression\"", "\"multi_label_classification\""}) {
    const BaseModel model = Damaged("bert").set("problem_type", json).open();
    REQUIRE(model.info().warnings.size() == 1);
    CHECK(says(model.info().warnings[0], "problem_type is '"));
    weft::nn::Batch batch;
    batch.ids = {{1, 2, 3}};
    CHECK(says(error_text<weft::UsageError>([&] { model.classify(batch); }), "problem_type is '"));
    CHECK(model.embed(batch).size(0) == 1);
  }
  CHECK(says(Damaged("distilbert").set("id2label", R"({"0": "score"})").open().info().warnings.at(0), "one label"));
}

TEST_CASE("model/config: sizes that are no sizes are refused with what was found") {
  for (const char* json : {"24.5", "0", "-24", "2147483648", "1e300", "\"24\"", "true", "[24]", "{}"}) {
    const std::string text = config_error<FormatError>("llama", "hidden_size", json);
    check_says(text, {"config.json:", "hidden_size", "expected an integer from 1 to 2147483647"});
  }
  check_says(config_error<FormatError>("llama", "num_hidden_layers", "2147483647"),
             {"num_hidden_layers", "from 1 to 10000"});
  check_says(config_error<FormatError>("bert", "id2label", R"({"0": "a", "2": "b"})"), {"id2label", "index 1"});
  check_says(config_error<FormatError>("llama", "rms_norm_eps", "-1"), {"rms_norm_eps", "above 0"});
  check_says(config_error<FormatError>("llama", "tie_word_embeddings", "\"yes\""),
             {"tie_word_embeddings", "true or false"});
  check_says(config_error<FormatError>("llama", "rope_scaling", "[1]"), {"rope_scaling", "expected an object"});
  check_says(config_error<FormatError>("llama", "eos_token_id", "[[1]]"), {"eos_token_id", "token id"});
  check_says(Damaged("llama").drop("hidden_size").open_error<FormatError>(), {"config.json", "hidden_size", "missing"});
}

TEST_CASE("model/config: sizes that contradict each other are refused") {
  check_says(config_error<FormatError>("llama", "num_key_value_heads", "3"),
             {"num_key_value_heads", "3", "does not divide num_attention_heads 4"});
  check_says(config_error<FormatError>("gpt2", "n_head", "5"), {"n_head", "5", "does not divide the width 24"});
  check_says(config_error<FormatError>("distilbert", "n_heads", "7"), {"n_heads", "does not divide"});
  check_says(config_error<FormatError>("t5", "relative_attention_max_distance", "5"),
             {"relative_attention_max_distance", "more than half of relative_attention_num_buckets"});
  check_says(config_error<FormatError>("roberta", "pad_token_id", "41"), {"max_position_embeddings", "42"});
  check_says(config_error<FormatError>("gpt_neox", "rotary_pct", "1.5"), {"12 of 8 dimensions"});
  check_says(config_error<FormatError>("gpt_neox", "rotary_pct", "0.01"), {"0 of 8 dimensions"});
}

TEST_CASE("model/config: rope scalings need their parameters") {
  const auto rope = [](const std::string& json) { return config_error<FormatError>("llama", "rope_scaling", json); };
  check_says(rope(R"({"rope_type": "linear"})"), {"factor", "missing"});
  check_says(rope(R"({"rope_type": "linear", "factor": 0.5})"), {"factor", "at least 1"});
  check_says(rope(R"({"rope_type": "yarn", "factor": "four"})"), {"factor", "expected a number"});
  check_says(rope(R"({"rope_type": "llama3", "factor": 8.0})"), {"low_freq_factor", "missing"});
  check_says(rope(R"({"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0]})"),
             {"short_factor", "a list of 3 numbers"});
}

TEST_CASE("model/config: weights that do not fit name tensor, file, got and expected") {
  check_says(config_error("llama", "vocab_size", "62"),
             {"weights do not fit config.json", "model.safetensors", "'model.embed_tokens.weight' is [61, 24]",
              "config.json asks for [62, 24]"});
  check_says(config_error("llama", "num_hidden_layers", "3"),
             {"no tensor 'model.layers.2.", "nearest is 'model.layers"});
  check_says(config_error("llama", "num_hidden_layers", "10000"), {"and at least 95 more"});
  check_says(config_error("gpt2", "n_positions", "41"), {"wpe.weight' is [40, 24]", "[41, 24]"});
  check_says(config_error("bert", "id2label", R"({"0": "a", "1": "b"})"),
             {"'classifier.weight' is [3, 24]", "[2, 24]"});

  Damaged missing("llama"), wrong("llama"), integers("llama");
  missing.weights([](auto& tensors) { tensors.erase("model.layers.1.mlp.up_proj.weight"); });
  check_says(missing.open_error(), {"no tensor 'model.layers.1.mlp.up_proj.weight'", "the nearest is"});
  wrong.weights([](auto& tensors) { tensors["model.norm.weight"] = at::ones({7}); });
  check_says(wrong.open_error(), {"'model.norm.weight' is [7]", "asks for [24]"});
  integers.weights([](auto& tensors) { tensors["lm_head.weight"] = at::ones({61, 24}, at::kChar); });
  check_says(integers.open_error(), {"'lm_head.weight' is int8", "expected float32"});
  CHECK(says(Damaged("llama").weights([](auto& tensors) { tensors.erase("lm_head.weight"); }).open_error(),
             "no tensor 'lm_head.weight'"));
}

TEST_CASE("model/config: weights that are not finite are named when they are used") {
  Damaged damaged("gpt2");
  damaged.weights([](auto& tensors) { tensors["transformer.h.1.mlp.c_fc.weight"].fill_(NAN); });
  weft::nn::Batch batch;
  batch.ids = {{1, 2, 3}};
  const BaseModel model = damaged.open();
  check_says(error_text<InputError>([&] { model.logits(batch); }), {"transformer.h.1.mlp.c_fc", "not finite"});
}

TEST_CASE("model/config: damaged files and shards are refused by name") {
  Damaged truncated("llama"), no_weights("llama"), shard("llama_sharded"), index("llama_sharded"), bin("llama_bin");
  fs::resize_file(truncated / "model.safetensors", fs::file_size(truncated / "model.safetensors") - 100);
  check_says(truncated.open_error(), {"model.safetensors"});
  fs::remove(no_weights / "model.safetensors");
  check_says(no_weights.open_error(), {"no base weights", "model.safetensors, pytorch_model.bin"});
  fs::remove(shard / "model-00002-of-00002.safetensors");
  check_says(shard.open_error(), {"index.json", "model-00002-of-00002.safetensors' is missing"});
  write_text(index / "model.safetensors.index.json",
             R"({"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}})");
  check_says(index.open_error(), {"says that 'lm_head.weight' is in 'model-00001-of-00002.safetensors'"});
  fs::resize_file(bin / "pytorch_model.bin", 500);
  check_says(bin.open_error(), {"pytorch_model.bin"});
}

TEST_CASE("model/config: a config that is no config is refused") {
  for (const char* text : {"", "[]", "\"llama\"", "{\"model_type\": \"llama\"", "\xff\xfe", "{}", "{\"model_type\": 3}",
                           "{\"model_type\": [\"llama\"]}"}) {
    const Damaged damaged("llama");
    write_text(damaged / "config.json", text);
    check_says(damaged.open_error(), {"config.json"});
  }
  const Damaged deep("llama"), none("llama");
  write_text(deep / "config.json", std::string(100000, '['));
  check_says(deep.open_error(), {"config.json"});
  fs::remove(none / "config.json");
  check_says(none.open_error(), {"no config.json there"});
  check_says(error_text<InputError>([] { BaseModel::open("no/such/folder"); }), {"no/such/folder", "no such folder"});
}

TEST_CASE("model/config: a padding token inside a RoBERTa text takes no position") {
  const BaseModel model = BaseModel::open(weft::test::golden_models() / "roberta");
  weft::nn::Batch batch;
  batch.ids = {{3, 1, 7, 1, 9}, {1, 5}, {5, 6, 1}};
  // RobertaForSequenceClassification of transformers 5.23 on these three, one at a time, without a mask.
  const std::vector<float> logits = {1.837152f,   -0.6627376f, 0.9610376f,  2.135103f,  -1.07189f,
                                     -0.1335193f, 1.630404f,   -0.5752974f, -0.2989082f};
  const Tensor golden = at::tensor(at::ArrayRef<float>(logits)).view({3, 3});
  CHECK(weft::test::relative(model.classify(batch), golden) <= 1e-5);  // the other order of sums in float32
}

TEST_CASE("model/config: Gemma 3 has no cap on attention scores, whatever its config says") {
  weft::nn::Batch batch;
  batch.ids = {{1, 5, 7, 9, 11, 13}};
  const Tensor plain = BaseModel::open(weft::test::golden_models() / "gemma3").logits(batch);
  CHECK(at::equal(Damaged("gemma3").set("attn_logit_softcapping", "0.5").open().logits(batch), plain));
  CHECK_FALSE(at::equal(Damaged("gemma3").set("final_logit_softcapping", "0.5").open().logits(batch), plain));
}

TEST_CASE("model/config: Gemma 3's rope_scaling counts by its rope_type, as transformers lays it over a default") {
  weft::nn::Batch batch;
  batch.ids = {{1, 5, 7, 9, 11, 13, 2, 40, 3}};
  const auto logits = [&](const char* json) {
    return Damaged("gemma3_old").set("rope_scaling", json).open().logits(batch);
  };
  const Tensor plain = logits("null");
  CHECK(at::equal(logits(R"({"type": "linear", "factor": 8.0})"), plain));
  CHECK_FALSE(at::equal(logits(R"({"rope_type": "linear", "factor": 8.0})"), plain));
}

TEST_CASE("model/config: a checkpoint of the bare decoder runs with its tied head") {
  for (const auto& [folder, name] : std::map<std::string, std::string>{
           {"gpt2_no_prefix", "GPT2Model"}, {"bloom", "BloomModel"}, {"qwen3_tied", "Qwen3Model"}})
    CHECK(Damaged(folder).set("architectures", "[\"" + name + "\"]").open().info().architecture == name);
  // Without a tied head there is none, and random weights are no answer.
  Damaged untied("llama");
  untied.set("architectures", "[\"LlamaModel\"]").weights([](auto& tensors) { tensors.erase("lm_head.weight"); });
  check_says(untied.open_error(), {"no tensor 'lm_head.weight'"});
}

TEST_CASE("model/config: modules are called as transformers calls them") {
  const auto has = [](const char* folder, const std::string& name) {
    const auto modules = BaseModel::inspect(weft::test::golden_models() / folder).modules;
    return std::find(modules.begin(), modules.end(), name) != modules.end();
  };
  CHECK(has("gpt2_no_prefix", "transformer.h.0.attn.c_attn"));
  CHECK(has("gpt_neox", "gpt_neox.layers.1.attention.query_key_value"));
  CHECK(has("opt_no_final_norm", "model.decoder.layers.0.self_attn.out_proj"));
  CHECK(has("bloom_post", "transformer.h.0.self_attention.dense"));
  CHECK(has("t5", "encoder.block.0.layer.0.SelfAttention.q"));
  CHECK(has("t5", "decoder.block.1.layer.1.EncDecAttention.v"));
  CHECK(has("t5", "encoder.embed_tokens"));
  CHECK(has("t5", "decoder.embed_tokens"));
  CHECK(has("bert", "bert.encoder.layer.0.attention.self.query"));
  CHECK(has("bert", "classifier"));
  CHECK(has("bert_sentence", "encoder.layer.0.attention.self.query"));
  CHECK(has("roberta", "classifier.out_proj"));
  CHECK(has("distilbert", "distilbert.transformer.layer.1.ffn.lin2"));
}
