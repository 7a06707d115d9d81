#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <set>
#include <string>

#include "io/json.h"
#include "support/error_text.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "support/zoo.h"
#include "weft/adapter/adapter.h"
#include "weft/flow/compose.h"

namespace {

namespace fs = std::filesystem;
using weft::flow::ComposeJob;

ComposeJob job_on(const weft::test::TempDir& dir, const std::string& method) {
  ComposeJob job;
  job.adapters = {{weft::test::write_zoo_adapter(dir / "a", 1, 3), ""},
                  {weft::test::write_zoo_adapter(dir / "b", 2, 2), ""}};
  job.spec = weft::merge::find_method(method).spec;
  job.output = dir / ("out-" + method);
  return job;
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

}  // namespace

TEST_CASE("flow/compose: writes an adapter that opens, with a record that runs again") {
  const weft::test::TempDir dir;
  const ComposeJob job = job_on(dir, "linear");
  const auto report = weft::flow::compose(job);
  CHECK(report.adapters == std::vector<std::string>{"a", "b"});
  CHECK(report.dtype == "float32");
  CHECK(report.merge.modules.size() == 4);
  CHECK(report.output_bytes > 0);
  const auto made = weft::adapter::Adapter::open(job.output);
  CHECK(made.modules().size() == 4);
  CHECK(made.modules()[0].rank == 5);

  const weft::Value record = weft::io::read_json(job.output / "weft.json");
  CHECK(record.find("method")->scalar == "linear");
  CHECK(record.find("recipe")->find("adapters")->list.size() == 2);
  CHECK(record.find("recipe")->find("output")->find("path") == nullptr);
  CHECK(record.find("measured")->find("modules")->list.size() == 4);
}

TEST_CASE("flow/compose: the same inputs give the same bytes, whatever the output is called") {
  const weft::test::TempDir dir;
  ComposeJob job = job_on(dir, "dare_ties");
  weft::flow::compose(job);
  const fs::path first = job.output;
  job.output = dir / "second";
  weft::merge::RunOptions one_thread;
  one_thread.threads = 1;
  weft::flow::compose(job, one_thread);
  CHECK(names_in(first) == names_in(job.output));
  for (const std::string& name : names_in(first)) {
    CAPTURE(name);
    CHECK(weft::test::file_text(first / name) == weft::test::file_text(job.output / name));
  }
}

TEST_CASE("flow/compose: dtype is the inputs', float32 where they differ, or as asked") {
  const weft::test::TempDir dir;
  ComposeJob job = job_on(dir, "linear");
  weft::test::write_zoo_adapter(dir / "a", 1, 3, at::kHalf);
  CHECK(weft::flow::dry_run(job).dtype == "float32");
  weft::test::write_zoo_adapter(dir / "b", 1, 2, at::kHalf);
  CHECK(weft::flow::dry_run(job).dtype == "float16");
  const auto half = weft::flow::dry_run(job).output_bytes;
  job.dtype = "bfloat16";
  CHECK(weft::flow::dry_run(job).output_bytes == half);
  job.dtype = "float32";
  CHECK(weft::flow::dry_run(job).output_bytes == 2 * half);
  job.dtype = "int8";
  CHECK_THROWS_AS(weft::flow::dry_run(job), weft::UsageError);
}

TEST_CASE("flow/compose: what is carried over whole keeps the dtype of every tensor unless another is asked for") {
  const weft::test::TempDir dir;
  at::manual_seed(4);
  const std::string bias = "base_model.model.l.0.q.base_layer.bias", a = "base_model.model.l.0.q.lora_A.weight";
  weft::test::NamedTensors tensors{{bias, at::randn({10})}};
  weft::test::add_pair(tensors, "l.0.q", 10, 6, 4, at::kHalf);
  ComposeJob job;
  job.adapters = {{weft::test::write_peft(
                       dir / "in", R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "lora_only"})", tensors),
                   ""}};
  job.spec = weft::merge::find_method("linear").spec;
  job.output = dir / "same";
  weft::flow::compose(job);
  const auto same = weft::adapter::Adapter::open(job.output);
  CHECK(at::equal(same.load_key(bias), tensors[0].second));
  CHECK((same.load_key(a).scalar_type() == at::kHalf));
  job.dtype = "bfloat16";
  job.output = dir / "cast";
  weft::flow::compose(job);
  CHECK((weft::adapter::Adapter::open(job.output).load_key(bias).scalar_type() == at::kBFloat16));
}

TEST_CASE("flow/dry_run: writes nothing and still finds what would fail") {
  const weft::test::TempDir dir;
  ComposeJob job = job_on(dir, "ties");
  const auto before = names_in(dir.path());
  const auto report = weft::flow::dry_run(job);
  CHECK(report.plan.modules == 4);
  CHECK(names_in(dir.path()) == before);

  const auto said = [&] { return weft::test::error_text([&] { weft::flow::dry_run(job); }); };
  job.output = dir / "a";
  CHECK(said().find("the output is an input") != std::string::npos);
  fs::create_directories(dir / "there");
  job.output = dir / "there";
  CHECK(said().find("exists already") != std::string::npos);
  job.base_model = (dir / "there" / "base").string(), job.force = true;
  CHECK(said().find("would replace the base model") != std::string::npos);
  job.base_model.clear(), job.force = false;
  weft::test::write_text(dir / "file", "x");
  job.output = dir / "file/out";
  CHECK(said().find("is not a folder") != std::string::npos);
}

TEST_CASE("flow/compose: refusals leave nothing behind") {
  const weft::test::TempDir dir;
  ComposeJob job = job_on(dir, "linear");
  const auto before = names_in(dir.path());
  CHECK_THROWS_AS(weft::flow::compose(ComposeJob{}), weft::UsageError);
  ComposeJob no_output = job;
  no_output.output.clear();
  CHECK_THROWS_WITH_AS(weft::flow::compose(no_output), doctest::Contains("no output folder"), weft::UsageError);
  ComposeJob missing = job;
  missing.adapters[1].path = dir / "nowhere";
  CHECK_THROWS_AS(weft::flow::compose(missing), weft::InputError);
  CHECK(names_in(dir.path()) == before);
}

TEST_CASE("flow/compose: base_model makes adapters composable that need their base") {
  const weft::test::TempDir dir;
  const fs::path inputs = fs::path(WEFT_SOURCE_DIR) / "tests" / "golden" / "merges" / "inputs" / "dora";
  fs::create_directories(dir / "base");
  fs::copy_file(inputs / "a" / "base.safetensors", dir / "base" / "model.safetensors");
  weft::test::write_text(dir / "recipe.yaml",
                         "base_model: base\nmethod: linear\nadapters:\n  - adapter: " + (inputs / "a").string() +
                             "\n  - adapter: " + (inputs / "b").string() + "\nparameters: {rank: 2}\noutput: out\n");
  ComposeJob job = weft::flow::load_recipe(dir / "recipe.yaml");
  CHECK(weft::flow::dry_run(job).plan.modules == 4);
  const auto report = weft::flow::compose(job);
  CHECK_FALSE(report.merge.carried);
  const auto made = weft::adapter::Adapter::open(job.output);
  CHECK(made.info().needs_base.empty());
  CHECK(made.modules()[0].rank == 2);

  job.output = dir / "second";
  job.base_model = "some-org/some-model";
  const std::string text = weft::test::error_text<weft::InputError>([&] { weft::flow::dry_run(job); });
  CHECK_MESSAGE(text.find("base_model 'some-org/some-model': no such folder") == 0, text);
  job.base_model.clear();
  CHECK_THROWS_WITH_AS(weft::flow::dry_run(job), doctest::Contains("base_model"), weft::UnsupportedError);
}

TEST_CASE("flow/compose: a base_model that is no folder does not matter where no weight of it is needed") {
  const weft::test::TempDir dir;
  ComposeJob job = job_on(dir, "linear");
  job.base_model = "gpt2";
  CHECK_NOTHROW(weft::flow::compose(job));
  ComposeJob alone;
  alone.adapters = {{fs::path(WEFT_SOURCE_DIR) / "tests" / "golden" / "adapters" / "dora", ""}};
  alone.spec = weft::merge::find_method("linear").spec;
  alone.output = dir / "alone";
  alone.base_model = "gpt2";
  CHECK(weft::flow::compose(alone).merge.carried);
}
