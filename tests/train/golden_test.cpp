#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/tensor_file.h"
#include "support/golden_models.h"
#include "support/temp_dir.h"
#include "weft/train/train.h"

namespace {

namespace fs = std::filesystem;
using weft::Tensor;
using weft::Value;

// Float32 on both sides with sums in another order. The curves of PEFT in float32 and in float64 are up to 1e-6 apart
// (golden.json, float64_difference), and ten updates of AdamW carry that on.
constexpr double kLossTolerance = 2e-5, kNormTolerance = 2e-4;
// The first updates of AdamW have the size of the rate whatever the gradient, so that rounding shows most there.
constexpr double kWeightTolerance = 2e-4;

const fs::path& training_goldens() {
  static const fs::path path = fs::path(WEFT_SOURCE_DIR) / "tests/golden/training";
  return path;
}

/// The case's base with its tokenizer, and its training.
struct GoldenTraining {
  std::string name;
  Value golden;
  fs::path base;
  weft::train::TrainJob job;
};

void set_golden_options(const Value& from, weft::train::TrainOptions& to) {
  for (const auto& [name, value] : from.map) {
    if (value.is_map())
      set_golden_options(value, to);
    else
      weft::train::set_option(to, name, value, {});
  }
}

GoldenTraining open_golden_training(const std::string& name, const weft::test::TempDir& temp) {
  GoldenTraining out;
  out.name = name;
  const fs::path folder = training_goldens() / name;
  out.golden = weft::io::read_json(folder / "golden.json");
  out.base = temp / "base";
  fs::copy(weft::test::golden_models() / out.golden.find("base")->scalar, out.base, fs::copy_options::recursive);
  fs::copy(training_goldens() / "tokenizers" / out.golden.find("tokenizer")->scalar, out.base,
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  set_golden_options(*out.golden.find("options"), out.job.options);
  out.job.examples = weft::data::read_examples(folder / "examples.jsonl");
  out.job.output = temp / "trained";
  if (fs::exists(folder / "start")) out.job.start = weft::adapter::Adapter::open(folder / "start");
  return out;
}

void check_curve(const Value& curve, const weft::train::TrainReport& report) {
  REQUIRE(report.points.size() == curve.list.size());
  for (size_t i = 0; i < curve.list.size(); ++i) {
    CAPTURE(i);
    const Value& point = curve.list[i];
    CHECK(report.points[i].rate == doctest::Approx(*point.find("rate")->number()).epsilon(1e-9));
    CHECK(report.points[i].loss == doctest::Approx(*point.find("loss")->number()).epsilon(kLossTolerance));
    CHECK(report.points[i].norm == doctest::Approx(*point.find("norm")->number()).epsilon(kNormTolerance));
  }
}

bool is_noisy(const Value& golden, const std::string& key) {
  const auto& noisy = golden.find("noisy")->list;
  return std::any_of(noisy.begin(), noisy.end(), [&](const Value& name) { return name.scalar == key; });
}

void check_end(const GoldenTraining& training, const fs::path& written) {
  const auto expected = weft::io::open_safetensors(training_goldens() / training.name / "end.safetensors");
  const auto got = weft::io::open_safetensors(written);
  for (const auto& entry : expected->entries()) {
    const std::string& key = entry.name;
    CAPTURE(key);
    REQUIRE(got->find(key) != nullptr);
    if (is_noisy(training.golden, key)) continue;
    const double difference =
        (expected->load(key).to(at::kFloat) - got->load(key).to(at::kFloat)).abs().max().item().toDouble();
    CHECK(difference < kWeightTolerance);
  }
}

}  // namespace

TEST_CASE("train/golden: ten updates follow PEFT's losses, gradient norms and end weights") {
  const Value index = weft::io::read_json(training_goldens() / "index.json");
  REQUIRE(index.find("training")->list.size() >= 15);
  for (const Value& entry : index.find("training")->list) {
    const std::string name = entry.find("folder")->scalar;
    CAPTURE(name);
    const weft::test::TempDir temp;
    GoldenTraining training = open_golden_training(name, temp);
    const auto model = weft::model::BaseModel::open(training.base);
    const auto tokenizer = weft::text::Tokenizer::open(training.base);
    const auto report = weft::train::train(model, tokenizer, training.job);
    check_curve(*training.golden.find("curve"), report);
    const bool adapter = fs::exists(training.job.output / "adapter_model.safetensors");
    check_end(training, training.job.output / (adapter ? "adapter_model.safetensors" : "model.safetensors"));
  }
}
