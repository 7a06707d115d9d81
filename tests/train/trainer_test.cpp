#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/json.h"
#include "support/error_text.h"
#include "support/id_model.h"
#include "support/temp_dir.h"
#include "weft/train/train.h"

namespace {

namespace fs = std::filesystem;
using weft::test::error_text;
using weft::test::says;
using weft::test::TempDir;
using weft::test::write_id_model;
using weft::test::write_text;
using weft::train::TrainJob;
using weft::train::TrainReport;

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Breaks a training off when so many updates are reported.
class Interrupter : public weft::Log {
 public:
  explicit Interrupter(std::int64_t step) : step_(step) {}
  void progress(std::string_view what, std::int64_t done, std::int64_t, std::string_view) override {
    if (what == "training" && done >= step_ && done > 0) throw std::runtime_error("interrupted");
  }

 private:
  std::int64_t step_;
};

/// A tiny Llama whose tokens are numbers, and a few prompts to learn.
struct TinyTraining {
  TempDir temp;
  fs::path base = write_id_model(temp / "base", "llama");
  weft::model::BaseModel model = weft::model::BaseModel::open(base);
  weft::text::Tokenizer tokenizer = weft::text::Tokenizer::open(base);
  TrainJob job;

  explicit TinyTraining(const std::string& name = "out") {
    write_text(temp / "train.jsonl",
               "{\"prompt\": \"3 4 5\", \"completion\": \"6 7\"}\n{\"prompt\": \"8 9\", \"completion\": \"10 11 12\"}\n"
               "{\"prompt\": \"13\", \"completion\": \"14\"}\n{\"prompt\": \"15 16 17 18\", \"completion\": \"19\"}\n"
               "{\"prompt\": \"20 21\", \"completion\": \"22 23\"}\n");
    job.examples = weft::data::read_examples(temp / "train.jsonl");
    job.options.steps = 12, job.options.batch = 2, job.options.accumulate = 2, job.options.lora.rank = 3;
    job.options.learning_rate = 0.02, job.options.warmup = 2, job.options.save_every = 3;
    job.options.lora.dropout = 0.2;
    job.output = temp / name;
  }
  TrainReport run(weft::Log& log = weft::silent_log()) { return weft::train::train(model, tokenizer, job, log); }
  fs::path checkpoint() const { return job.output.string() + ".training"; }
};

}  // namespace

TEST_CASE("train/trainer: training lowers the loss and writes an adapter that the model takes") {
  TinyTraining tiny;
  tiny.job.options.steps = 40, tiny.job.options.lora.dropout = 0.0;
  const TrainReport report = tiny.run();
  CHECK(report.points.size() == 40);
  CHECK(report.points.back().loss < 0.5 * report.points.front().loss);
  CHECK(!fs::exists(tiny.checkpoint()));
  const auto pool = weft::adapter::Pool::open({{tiny.job.output, "trained"}});
  const auto experts = tiny.model.attach(pool);
  CHECK(experts.modules().size() == 4);
  const weft::Value record = weft::io::read_json(tiny.job.output / "weft.json");
  REQUIRE(record.find("train") != nullptr);
  CHECK(record.find("train")->find("losses")->list.size() == 40);
}

TEST_CASE("train/trainer: a run that is broken off anywhere ends with the same bytes") {
  TinyTraining whole("whole");
  write_text(whole.temp / "dev.jsonl", "{\"prompt\": \"3 4\", \"completion\": \"6\"}\n");
  whole.job.validation = weft::data::read_examples(whole.temp / "dev.jsonl");
  whole.job.options.eval_every = 4;
  const TrainReport report = whole.run();
  for (std::int64_t step = 1; step <= whole.job.options.steps; ++step) {
    CAPTURE(step);
    TinyTraining broken("whole");
    broken.job.validation = whole.job.validation;
    broken.job.options = whole.job.options;
    Interrupter interrupter(step);
    CHECK_THROWS_AS(broken.run(interrupter), std::runtime_error);
    CHECK(!fs::exists(broken.job.output));
    CHECK(fs::exists(broken.checkpoint()) == (step >= 3));
    const TrainReport again = broken.run();
    CHECK(again.resumed_from == step / 3 * 3);
    CHECK(again.best_step == report.best_step);
    REQUIRE(again.points.size() == report.points.size());
    for (const char* file : {"adapter_model.safetensors", "adapter_config.json", "weft.json"}) {
      CAPTURE(std::string(file));
      std::string expected = bytes_of(whole.job.output / file), got = bytes_of(broken.job.output / file);
      // The base's own path is in the config, and the two bases lie in two places.
      for (auto* text : {&expected, &got})
        for (const fs::path& base : {whole.base, broken.base})
          for (size_t at = text->find(base.string()); at != std::string::npos; at = text->find(base.string()))
            text->replace(at, base.string().size(), "BASE");
      CHECK(expected == got);
    }
  }
}

TEST_CASE("train/trainer: outputs kept of the blocks below the adapter change nothing, broken off or not") {
  const auto in_upper_block = [](TinyTraining& tiny, double dropout) {
    tiny.job.options.lora.layers = {1};
    tiny.job.options.lora.dropout = dropout;
  };
  TinyTraining whole, broken;
  in_upper_block(whole, 0.2), in_upper_block(broken, 0.2);
  whole.run();
  Interrupter interrupter(7);
  CHECK_THROWS_AS(broken.run(interrupter), std::runtime_error);
  broken.run();
  CHECK(bytes_of(whole.job.output / "adapter_model.safetensors") ==
        bytes_of(broken.job.output / "adapter_model.safetensors"));
  // Two updates see too few sequences twice: nothing is kept there. Float32 sums of other batches.
  TinyTraining kept, unkept;
  in_upper_block(kept, 0.0), in_upper_block(unkept, 0.0);
  for (TinyTraining* tiny : {&kept, &unkept})
    tiny->job.options.schedule = weft::train::Schedule::kConstant, tiny->job.options.warmup = 0;
  unkept.job.options.steps = 2;
  const TrainReport with = kept.run(), without = unkept.run();
  for (size_t i = 0; i < without.points.size(); ++i)
    CHECK(with.points[i].loss == doctest::Approx(without.points[i].loss).epsilon(1e-5));
}

TEST_CASE("train/trainer: the same seed gives the same curve, another seed another one") {
  TinyTraining one, two, other;
  other.job.options.seed = 1;
  const auto first = one.run(), second = two.run(), third = other.run();
  for (size_t i = 0; i < first.points.size(); ++i) CHECK(first.points[i].loss == second.points[i].loss);
  CHECK(first.points.back().loss != third.points.back().loss);
}

TEST_CASE("train/trainer: the checkpoint of another training is refused") {
  TinyTraining tiny;
  Interrupter interrupter(6);
  CHECK_THROWS_AS(tiny.run(interrupter), std::runtime_error);
  tiny.job.options.learning_rate = 0.01;
  const std::string text = error_text<weft::InputError>([&] { tiny.run(); });
  CHECK(says(text, tiny.checkpoint().string()));
  CHECK(says(text, "another training"));
  tiny.job.options.learning_rate = 0.02;
  write_text(tiny.checkpoint(), "nonsense");
  const std::string broken = error_text<weft::InputError>([&] { tiny.run(); });
  CHECK(says(broken, tiny.checkpoint().string()));
  CHECK(says(broken, "remove the file to begin anew"));
  CHECK(!fs::exists(tiny.job.output));
}

TEST_CASE("train/trainer: a training that diverges stops and keeps the last good checkpoint") {
  TinyTraining tiny;
  tiny.job.options.learning_rate = 900.0, tiny.job.options.clip = 0.0, tiny.job.options.steps = 400;
  tiny.job.options.warmup = 200, tiny.job.options.weight_decay = 500.0, tiny.job.options.save_every = 1;
  const std::string text = error_text<weft::Error>([&] { tiny.run(); });
  CHECK(says(text, "diverged"));
  CHECK(says(text, "is kept in " + tiny.checkpoint().string()));
  CHECK(fs::exists(tiny.checkpoint()));
  CHECK(!fs::exists(tiny.job.output));
}

TEST_CASE("train/trainer: a loss that is not finite before the first update is not blamed on the learning rate") {
  TinyTraining tiny;
  tiny.job.options.lora.alpha = 1e30, tiny.job.options.lora.rank = 1;
  const TrainReport report = tiny.run();  // B is zero, and the gradient is clipped
  CHECK(report.points.size() == 12);
  TinyTraining long_one;
  long_one.job.options.steps = 1000000;
  CHECK(says(error_text<weft::UsageError>([&] { long_one.run(); }), "save_every"));
  long_one.job.options.steps = 0, long_one.job.options.epochs = 1.0, long_one.job.options.warmup = 50;
  CHECK(says(error_text<weft::UsageError>([&] { long_one.run(); }), "warmup"));
}

TEST_CASE("train/trainer: the best weights of the validation are kept, and patience ends a run") {
  TinyTraining tiny;
  write_text(tiny.temp / "dev.jsonl", "{\"prompt\": \"30 31\", \"completion\": \"32 33\"}\n");
  tiny.job.validation = weft::data::read_examples(tiny.temp / "dev.jsonl");
  tiny.job.options.eval_every = 1, tiny.job.options.patience = 3, tiny.job.options.steps = 200;
  tiny.job.options.learning_rate = 0.1;
  const TrainReport report = tiny.run();
  CHECK(report.stopped_early);
  CHECK(report.points.size() < 200);
  double best = 1e9;
  std::int64_t at = 0;
  for (const auto& check : report.checks)
    if (check.loss < best) best = check.loss, at = check.step;
  CHECK(report.best_step == at);
  CHECK(static_cast<std::int64_t>(report.points.size()) == at + 3);
}

TEST_CASE("train/trainer: an adapter is the start of another") {
  TinyTraining tiny;
  tiny.job.options.lora.dropout = 0.0;
  const TrainReport first = tiny.run();
  tiny.job.start = weft::adapter::Adapter::open(tiny.job.output);
  tiny.job.output = tiny.temp / "second";
  const TrainReport second = tiny.run();
  CHECK(second.points.front().loss < 0.8 * first.points.front().loss);
  tiny.job.output = tiny.temp / "third";
  tiny.job.options.lora.rank = 2;
  CHECK_THROWS_AS(tiny.run(), weft::UsageError);
  tiny.job.options.lora.rank = 3;
  tiny.job.options.lora.targets = {"k_proj"};
  CHECK(says(error_text<weft::UsageError>([&] { tiny.run(); }), "q_proj"));
}

TEST_CASE("train/trainer: the checkpoint of a training from another start is refused") {
  TinyTraining tiny;
  tiny.run();
  const fs::path first = tiny.job.output;
  tiny.job.output = tiny.temp / "second";
  tiny.job.start = weft::adapter::Adapter::open(first);
  Interrupter interrupter(6);
  CHECK_THROWS_AS(tiny.run(interrupter), std::runtime_error);
  // The same tensors, read with another scale.
  std::string config = bytes_of(first / "adapter_config.json");
  const size_t at = config.find("\"lora_alpha\": 16");
  REQUIRE(at != std::string::npos);
  write_text(first / "adapter_config.json", config.replace(at, 16, "\"lora_alpha\": 17"));
  tiny.job.start = weft::adapter::Adapter::open(first);
  CHECK(says(error_text<weft::InputError>([&] { tiny.run(); }), "another training"));
}

TEST_CASE("train/trainer: targets and outputs that cannot be are refused before anything runs") {
  TinyTraining tiny;
  tiny.job.options.lora.targets = {"q_prj"};
  CHECK(says(error_text<weft::UsageError>([&] { tiny.run(); }), "q_proj"));
  tiny.job.options.lora.targets = {"embed_tokens"};
  CHECK(says(error_text<weft::UsageError>([&] { tiny.run(); }), "no linear"));
  tiny.job.options.lora.targets = {};
  tiny.job.options.lora.layers = {7};
  CHECK(says(error_text<weft::UsageError>([&] { tiny.run(); }), "block 7"));
  tiny.job.options.lora.layers = {};
  fs::create_directories(tiny.job.output);
  CHECK(says(error_text<weft::UsageError>([&] { tiny.run(); }), "exists"));
  tiny.job.output = tiny.base;
  tiny.job.force = true;
  CHECK(says(error_text<weft::UsageError>([&] { tiny.run(); }), "base model"));
  CHECK(fs::exists(tiny.base / "config.json"));
}
