#include "model/write_checkpoint.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "core/staged.h"
#include "io/json.h"
#include "io/tensor_file.h"
#include "model/model_data.h"
#include "model/parameters.h"
#include "model/random_model.h"
#include "support/close.h"
#include "support/error_text.h"
#include "support/golden_models.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace weft::model {
namespace {

namespace fs = std::filesystem;
using test::error_text;
using test::says;
using test::TempDir;

/// What the model computes from a few tokens.
Tensor outcome(const BaseModel& model) {
  nn::Batch batch, target;
  batch.ids = {{1, 4, 7, 5}, {2, 3}}, target.ids = {{3, 2}, {5}};
  if (model.info().kind == Kind::kSeq2Seq) return model.logits(batch, target);
  if (model.info().kind == Kind::kCausal) return model.logits(batch);
  return model.info().labels.empty() ? model.states(batch) : model.classify(batch);
}

void write(const fs::path& out, const BaseModel& model, c10::ScalarType dtype = at::kFloat, bool force = false) {
  nn::Network network = model.data().network;
  std::vector<std::pair<std::string, Tensor>> weights;
  for (const Parameter& parameter : parameters_of(network))
    weights.emplace_back(parameter.name, *parameter.places.front());
  write_checkpoint(out, model, weights, dtype, force, Value::make_map());
}

}  // namespace

TEST_CASE("model/write_checkpoint: every family reads back to the same numbers") {
  for (const test::GoldenModel& golden : test::all_golden_models()) {
    CAPTURE(golden.folder);
    const TempDir dir;
    const BaseModel model = BaseModel::open(golden.path);
    write(dir / "out", model);
    const BaseModel back = BaseModel::open(dir / "out");
    CHECK(at::equal(outcome(back), outcome(model)));
    CHECK(back.info().dtype == "float32");
    CHECK(back.info().warnings == model.info().warnings);
  }
}

TEST_CASE("model/write_checkpoint: trained weights, tied ones once, replace the old") {
  const TempDir dir;
  for (const std::string folder : {"llama_tied", "llama_tied_head_in_file", "t5", "flan_t5_old", "bert",
                                   "bert_old_names", "gpt2_no_prefix", "gemma3_nested", "llama_bin_sharded"}) {
    CAPTURE(folder);
    std::vector<std::pair<std::string, Tensor>> leaves;
    const BaseModel model = trainable_copy(BaseModel::open(test::golden_models() / folder), leaves);
    at::manual_seed(3);
    for (const auto& [name, leaf] : leaves) leaf.detach().add_(at::randn(leaf.sizes()), 0.02);
    write(dir / folder, model);
    const BaseModel back = BaseModel::open(dir / folder);
    // The same float32 weights, summed in another order where gradients are wanted.
    CHECK(test::relative(outcome(back), outcome(model).detach()) < 1e-5);
    CHECK(test::relative(outcome(back), outcome(BaseModel::open(test::golden_models() / folder))) > 1e-3);
  }
  CHECK(io::open_safetensors(dir / "llama_tied" / "model.safetensors")->find("lm_head.weight") == nullptr);
  CHECK(io::open_safetensors(dir / "gpt2_no_prefix" / "model.safetensors")->find("wte.weight") != nullptr);
}

TEST_CASE("model/write_checkpoint: drawn weights under the usual names") {
  for (const test::GoldenModel& golden : test::all_golden_models()) {
    if (golden.family == "gemma3") continue;  // a text model inside another is refused
    CAPTURE(golden.folder);
    const TempDir dir;
    const BaseModel model = random_model(golden.path, 9);
    write(dir / "out", model);
    const BaseModel back = BaseModel::open(dir / "out");
    CHECK(at::equal(outcome(back), outcome(model)));
    CHECK(back.info().warnings.empty());
  }
}

TEST_CASE("model/write_checkpoint: half precision, the config, the files beside, the same bytes") {
  const TempDir dir;
  const fs::path source = dir / "source";
  fs::copy(test::golden_models() / "llama", source);
  test::write_text(source / "tokenizer.json", "{}");
  test::write_text(source / "1_Pooling" / "config.json", "{}");
  const BaseModel model = BaseModel::open(source);
  for (const char* out : {"a", "b"}) write(dir / out, model, at::kBFloat16);
  const BaseModel back = BaseModel::open(dir / "a");
  CHECK(back.info().dtype == "bfloat16");
  CHECK(io::read_json(dir / "a" / "config.json").find("dtype")->scalar == "bfloat16");
  CHECK(io::read_json(dir / "a" / "weft.json").find("output")->find("dtype")->scalar == "bfloat16");
  CHECK(fs::exists(dir / "a" / "tokenizer.json"));
  CHECK(fs::exists(dir / "a" / "1_Pooling" / "config.json"));
  for (const char* file : {"config.json", "model.safetensors", "weft.json"})
    CHECK(read_file(dir / "a" / file, 1 << 20) == read_file(dir / "b" / file, 1 << 20));
  OpenOptions rounded;
  rounded.dtype = at::kBFloat16;
  const auto weight = [](const BaseModel& m) { return m.data().network.input.tokens.weight; };
  CHECK(at::equal(weight(back), weight(BaseModel::open(source, rounded))));
}

TEST_CASE("model/write_checkpoint: what is refused leaves nothing") {
  const TempDir dir;
  const fs::path source = dir / "source";
  fs::copy(test::golden_models() / "llama", source);
  std::vector<std::pair<std::string, Tensor>> leaves;
  const BaseModel model = trainable_copy(BaseModel::open(source), leaves);
  CHECK_THROWS_AS(write(source, model, at::kFloat, true), UsageError);
  const std::vector<std::pair<std::string, Tensor>> few(leaves.begin(), leaves.begin() + 3);
  CHECK(says(
      error_text<UsageError>([&] { write_checkpoint(dir / "out", model, few, at::kFloat, false, Value::make_map()); }),
      leaves[3].first));
  leaves[1].second.detach().view(-1)[0] = 1e6;
  CHECK(says(error_text<InputError>([&] { write(dir / "out", model, at::kHalf); }), leaves[1].first));
  leaves[1].second.detach().view(-1)[0] = std::numeric_limits<float>::infinity();
  CHECK(says(error_text([&] { write(dir / "out", model); }), leaves[1].first + "' holds NaN or Inf"));
  CHECK_FALSE(fs::exists(dir / "out"));
  size_t entries = 0;
  for (const auto& entry : fs::directory_iterator(dir.path())) entries += entry.exists() ? 1 : 0;
  CHECK(entries == 1);
}

}  // namespace weft::model
