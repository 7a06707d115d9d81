// Merges against files made with PEFT 0.21.2 and by independent float64 computation; see tests/golden/README.md.
#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/tensor_file.h"
#include "support/close.h"
#include "support/error_text.h"
#include "support/run_merge.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;
namespace merge = weft::merge;
using weft::Value;
using weft::adapter::Adapter;
using weft::adapter::Pool;

// Inputs, factors and outputs are float32 (6e-8 each); stacking, roots of scales and a truncation add a few of those.
constexpr double kMergeTolerance = 1e-5;

fs::path merges_folder() { return fs::path(WEFT_SOURCE_DIR) / "tests" / "golden" / "merges"; }

bool is_given(const Value& json, const char* key) {
  const Value* v = json.find(key);
  return v != nullptr && !v->is_null();
}

Pool pool_of_case(const Value& json) {
  std::vector<Pool::Source> sources;
  for (const Value& a : json.find("adapters")->list)
    sources.push_back({merges_folder() / a.find("path")->scalar, a.find("name")->scalar});
  return Pool::open(sources);
}

std::vector<double> weights_of_case(const Value& json) {
  std::vector<double> weights;
  for (const Value& a : json.find("adapters")->list) weights.push_back(*a.find("weight")->number());
  return weights;
}

void apply_density_and_election(merge::MergeSpec& spec, const Value& json) {
  if (is_given(json, "density")) spec.density = *json.find("density")->number();
  if (is_given(json, "majority_sign_method") && spec.consensus != merge::Consensus::kNone)
    spec.consensus = json.find("majority_sign_method")->scalar == "frequency" ? merge::Consensus::kSignFrequency
                                                                              : merge::Consensus::kSignTotal;
}

merge::MergeSpec spec_of_case(const Value& json) {
  merge::MergeSpec spec = weft::test::preset("peft_" + json.find("combination_type")->scalar, weights_of_case(json));
  apply_density_and_election(spec, json);
  if (is_given(json, "rank")) spec.rank = weft::test::fixed_rank(*json.find("rank")->number());
  return spec;
}

/// Checks every `prefix/<module>` of the expected file; returns how many there were.
int check_tensors(const Adapter& made, const weft::io::TensorFile& expected, const std::string& prefix) {
  int count = 0;
  for (const auto& entry : expected.entries()) {
    if (!entry.name.starts_with(prefix)) continue;
    CAPTURE(entry.name);
    const auto* module = made.find(entry.name.substr(prefix.size()));
    REQUIRE(module != nullptr);
    const auto update = made.load(*module);
    const at::Tensor got =
        prefix == "bias/" ? update.bias.to(at::kDouble) * module->scale : weft::test::dense_block(update);
    CHECK(weft::test::relative(got, expected.load(entry.name)) <= kMergeTolerance);
    ++count;
  }
  return count;
}

void check_refused_for_dora(const Pool& pool, const merge::MergeSpec& spec) {
  const std::string text = weft::test::error_text<weft::UnsupportedError>([&] { merge::plan(pool, spec); });
  CHECK(text.find("dora") != std::string::npos);
  CHECK(text.find(pool.adapters()[0].info().name) != std::string::npos);
}

/// Returns whether the case had an exact sum to compare with.
bool check_case(const Value& json, const weft::io::TensorFile& expected) {
  const Pool pool = pool_of_case(json);
  const merge::MergeSpec spec = spec_of_case(json);
  const merge::MergeSpec linear = weft::test::preset("linear", weights_of_case(json));
  if (*json.find("needs_base")->boolean()) {
    check_refused_for_dora(pool, spec);
    if (pool.size() > 1) check_refused_for_dora(pool, linear);
    return false;
  }
  const weft::test::TempDir dir;
  const Adapter made = weft::test::merge_to(dir / "as_peft", pool, spec);
  CHECK(check_tensors(made, expected, "true/") == static_cast<int>(made.modules().size()));
  const int peft = check_tensors(made, expected, "peft/");
  if (*json.find("peft_agrees")->boolean()) CHECK(peft == static_cast<int>(made.modules().size()));
  const bool summed = std::any_of(expected.entries().begin(), expected.entries().end(),
                                  [](const weft::io::TensorEntry& e) { return e.name.starts_with("sum/"); });
  if (!summed) {
    check_tensors(made, expected, "bias/");
    return false;
  }
  const Adapter exact = weft::test::merge_to(dir / "linear", pool, linear);
  CHECK(check_tensors(exact, expected, "sum/") == static_cast<int>(exact.modules().size()));
  check_tensors(exact, expected, "bias/");
  return true;
}

at::Tensor tensor_of(const Value& json) {
  std::vector<double> numbers;
  for (const Value& v : json.list) numbers.push_back(*v.number());
  return at::tensor(numbers, at::kDouble);
}

at::Tensor matrix_of(const Value& json) {
  std::vector<at::Tensor> rows;
  for (const Value& row : json.list) rows.push_back(tensor_of(row));
  return at::stack(rows);
}

}  // namespace

TEST_CASE("merge/golden: all eleven combination types of PEFT, and the true weighted sum") {
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator(merges_folder())) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".json") && name != "operators.json" && name != "refused.json") cases.push_back(entry.path());
  }
  std::sort(cases.begin(), cases.end());
  int sums = 0;
  for (const fs::path& path : cases) {
    const std::string name = path.stem().string();
    CAPTURE(name);
    const auto expected = weft::io::open_tensor_file(fs::path(path).replace_extension(".safetensors"));
    sums += check_case(weft::io::read_json(path), *expected) ? 1 : 0;
  }
  CHECK(cases.size() >= 100);
  CHECK(sums >= 25);
}

TEST_CASE("merge/golden: what PEFT refuses in factor space is refused with the ranks and the way out") {
  const Value json = weft::io::read_json(merges_folder() / "refused.json");
  for (const Value& refused : json.find("cases")->list) {
    std::vector<Pool::Source> sources;
    for (const Value& a : refused.find("adapters")->list) sources.push_back({merges_folder() / a.scalar, ""});
    const merge::MergeSpec spec = weft::test::preset("peft_" + refused.find("combination_type")->scalar, {});
    const Pool pool = Pool::open(sources);
    const std::string text = weft::test::error_text<weft::UnsupportedError>([&] { merge::plan(pool, spec); });
    CHECK(text.find("equal ranks") != std::string::npos);
    CHECK(text.find("space=delta") != std::string::npos);
  }
}

TEST_CASE("merge/golden: the operators' vectors") {
  const Value json = weft::io::read_json(merges_folder() / "operators.json");
  const auto& vectors = json.find("vectors")->list;
  CHECK(vectors.size() >= 9);
  for (size_t v = 0; v < vectors.size(); ++v) {
    CAPTURE(v);
    std::vector<weft::adapter::LowRank> updates;
    std::vector<std::string> names;
    for (const Value& row : vectors[v].find("tensors")->list) {
      updates.push_back({at::ones({1, 1}), tensor_of(row).reshape({1, -1}).to(at::kFloat), 1.0});
      names.push_back("adapter" + std::to_string(names.size()));
    }
    std::vector<double> weights;
    for (const Value& w : vectors[v].find("weights")->list) weights.push_back(*w.number());
    merge::MergeSpec spec = weft::test::preset(vectors[v].find("operator")->scalar, weights);
    apply_density_and_election(spec, vectors[v]);
    spec.rank = weft::test::exact_rank();
    const auto made = merge::merge_module("m", names, updates, spec);
    // Both in float32, of numbers up to 14.
    CHECK(weft::test::relative(weft::test::dense(made.blocks[0]).reshape({-1}),
                               tensor_of(*vectors[v].find("result"))) <= 1e-6);
  }
}

TEST_CASE("merge/golden: the worked example of two updates of rank one") {
  const Value json = weft::io::read_json(merges_folder() / "operators.json");
  const Value& example = *json.find("example");
  std::vector<weft::adapter::LowRank> updates;
  for (size_t i = 0; i < 2; ++i)
    updates.push_back({matrix_of(example.find("b")->list[i]).to(at::kFloat),
                       matrix_of(example.find("a")->list[i]).to(at::kFloat), 1.0});
  const auto merged = [&](const char* method) {
    return merge::merge_module("m", {"one", "two"}, updates, weft::test::preset(method, {1, 1}));
  };
  const auto sum = merged("linear"), svd = merged("svd"), apart = merged("peft_linear");
  CHECK(weft::test::relative(weft::test::dense(sum.blocks[0]), matrix_of(*example.find("sum"))) <= 1e-6);
  CHECK(sum.error == 0.0);
  CHECK(weft::test::relative(weft::test::dense(svd.blocks[0]), matrix_of(*example.find("rank1"))) <= 1e-6);
  CHECK(svd.error == doctest::Approx(*example.find("rank1_relative_error")->number()).epsilon(1e-6));
  CHECK(weft::test::relative(weft::test::dense(apart.blocks[0]), matrix_of(*example.find("peft_linear"))) <= 1e-6);
}
