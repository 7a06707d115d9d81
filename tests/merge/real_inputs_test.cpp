// Public adapters that people trained: the mix of three gpt2 adapters, and every file opened and written back.
#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "io/json.h"
#include "linalg/lowrank.h"
#include "support/close.h"
#include "support/run_merge.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "weft/adapter/inspect.h"

namespace {

namespace fs = std::filesystem;
namespace merge = weft::merge;
using weft::Value;
using weft::adapter::Adapter;
using weft::adapter::Pool;

Pool pool_of_mix(const fs::path& data, const Value& mix) {
  std::vector<Pool::Source> sources;
  for (const Value& name : mix.find("adapters")->list) sources.push_back({data / "gpt2" / name.scalar, ""});
  return Pool::open(sources);
}

std::vector<double> numbers_of(const Value& list) {
  std::vector<double> out;
  for (const Value& v : list.list) out.push_back(*v.number());
  return out;
}

double number_in(const Value& map, const char* key) { return *map.find(key)->number(); }

/// Norm, singular values and entries of one module. The golden numbers are float64; ours come from float32 factors
/// that were scaled by square roots, which costs about 1e-7 of the norm per entry.
void check_mixed_module(const Adapter& made, const std::string& key, const Value& expected) {
  CAPTURE(key);
  const auto* module = made.find(key.substr(std::string("base_model.model.").size()));
  REQUIRE(module != nullptr);
  CHECK(std::vector<double>{static_cast<double>(module->out), static_cast<double>(module->in)} ==
        numbers_of(*expected.find("shape_out_in")));
  const auto update = made.load(*module);
  const auto& u = update.blocks[0];
  const auto sigma = weft::linalg::singular_values({{u.b, u.a, u.scale}});
  double squares = 0;
  for (const double s : sigma) squares += s * s;
  const double norm = number_in(expected, "linear_dW_fro");
  CHECK(std::sqrt(squares) == doctest::Approx(norm).epsilon(1e-6));
  const auto top = numbers_of(*expected.find("linear_top4_singular_values"));
  REQUIRE(sigma.size() >= top.size());
  for (size_t i = 0; i < top.size(); ++i) CHECK(sigma[i] == doctest::Approx(top[i]).epsilon(1e-6));
  const at::Tensor corner =
      at::mm(u.b.narrow(0, 0, 1).to(at::kDouble), u.a.narrow(1, 0, 4).to(at::kDouble)).flatten() * u.scale;
  const at::Tensor entries = at::tensor(numbers_of(*expected.find("linear_dW_[0,0:4]")), at::kDouble);
  CHECK((corner - entries).abs().max().item<double>() <= 1e-8 * std::max(1.0, norm));
}

/// Every folder with an adapter_config.json and every adapter file under a folder.
std::vector<fs::path> adapters_under(const fs::path& root) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const bool folder = entry.is_directory() && fs::exists(entry.path() / "adapter_config.json");
    const std::string ending = entry.path().extension().string();
    const bool file = entry.is_regular_file() && (ending == ".safetensors" || ending == ".pt") &&
                      !fs::exists(entry.path().parent_path() / "adapter_config.json");
    if (folder || file) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void check_same_deltas(const Adapter& made, const Adapter& original) {
  CHECK(made.modules().size() == original.modules().size());
  for (const auto& m : original.modules()) {
    CAPTURE(m.name);
    const auto* again = made.find(m.name);
    REQUIRE(again != nullptr);
    const auto x = made.load(*again), y = original.load(m);
    // Entries of one row and one column: dense products of big modules would take seconds.
    const auto edge = [](const weft::adapter::ModuleUpdate& u, bool row) {
      const auto& f = u.blocks[0];
      const at::Tensor b = f.b.to(at::kDouble), a = f.a.to(at::kDouble);
      return row ? at::mm(b.narrow(0, 0, 1), a) * f.scale : at::mm(b, a.narrow(1, 0, 1)) * f.scale;
    };
    // Carried bits where the format is kept; float32 factors with the scale's root folded in otherwise.
    for (const bool row : {true, false}) CHECK(weft::test::relative(edge(x, row), edge(y, row)) <= 1e-6);
  }
}

void check_round_trip(const fs::path& path) {
  const Adapter original = Adapter::open(path);
  CHECK_FALSE(original.modules().empty());
  const weft::test::TempDir dir;
  const Pool pool({original});
  const bool peft = original.info().format == "peft";
  const at::ScalarType dtype = peft ? original.modules()[0].dtype : at::kFloat;
  merge::MergeReport report;
  const Adapter made = weft::test::merge_to(dir / "out", pool, weft::test::preset("linear", {}), dtype, &report);
  CHECK(report.carried == peft);
  CHECK(report.error == 0.0);
  check_same_deltas(made, original);
  for (const auto& t : original.full_tensors()) {
    CAPTURE(t.key);
    const auto& kept = made.full_tensors();
    CHECK(std::any_of(kept.begin(), kept.end(), [&](const auto& k) { return k.name == t.name; }));
  }
  if (!peft) return;
  for (const std::string& key : original.keys()) {
    CAPTURE(key);
    CHECK(at::equal(made.load_key(key), original.load_key(key)));
  }
}

}  // namespace

TEST_CASE("merge/real: three gpt2 adapters mixed agree with an independent float64 computation") {
  const fs::path data = weft::test::shared_data("adapters");
  if (data.empty()) return;
  const Value golden = weft::io::read_json(data / "golden_pool_gram.json");
  const Value& mix = *golden.find("mix_gpt2_domain");
  const Pool pool = pool_of_mix(data, mix);
  const weft::test::TempDir dir;
  merge::MergeReport report;
  const auto spec = weft::test::preset("linear", numbers_of(*mix.find("weights")));
  const Adapter made = weft::test::merge_to(dir / "mix", pool, spec, at::kFloat, &report);
  CHECK(report.norm == doctest::Approx(number_in(mix, "total_linear_fro")).epsilon(1e-6));
  CHECK(report.error == 0.0);
  CHECK(made.modules().size() == pool.modules().size());
  const auto& modules = mix.find("modules")->map;
  CHECK(modules.size() >= 2);
  for (const auto& [key, expected] : modules) check_mixed_module(made, key, expected);
  const auto measured = weft::adapter::inspect(Pool({made}));
  CHECK(measured.adapters[0].norm == doctest::Approx(number_in(mix, "total_linear_fro")).epsilon(1e-6));
}

TEST_CASE("merge/real: the mix cut back to rank 8 reports the error that the singular values tell") {
  const fs::path data = weft::test::shared_data("adapters");
  if (data.empty()) return;
  const Value golden = weft::io::read_json(data / "golden_pool_gram.json");
  const Value& mix = *golden.find("mix_gpt2_domain");
  const Pool pool = pool_of_mix(data, mix);
  const weft::test::TempDir dir;
  const auto weights = numbers_of(*mix.find("weights"));
  merge::MergeReport report;
  const Adapter exact = weft::test::merge_to(dir / "exact", pool, weft::test::preset("linear", weights));
  weft::test::merge_to(dir / "svd", pool, weft::test::preset("svd", weights), at::kFloat, &report);
  for (size_t i = 0; i < report.modules.size(); i += 9) {
    CAPTURE(report.modules[i].name);
    CHECK(report.modules[i].rank == 8);
    const auto update = exact.load(*exact.find(report.modules[i].name));
    const auto& u = update.blocks[0];
    const auto sigma = weft::linalg::singular_values({{u.b, u.a, u.scale}});
    double all = 0, lost = 0;
    for (size_t k = 0; k < sigma.size(); ++k) all += sigma[k] * sigma[k], lost += k < 8 ? 0 : sigma[k] * sigma[k];
    CHECK(report.modules[i].error == doctest::Approx(std::sqrt(lost / all)).epsilon(1e-4));
  }
}

TEST_CASE("merge/real: every public adapter opens and comes back") {
  for (const char* part : {"adapters", "sd_lora"}) {
    const fs::path data = weft::test::shared_data(part);
    if (data.empty()) continue;
    const auto found = adapters_under(data);
    CHECK(found.size() >= 3);
    for (const fs::path& path : found) {
      CAPTURE(path.string());
      CHECK_NOTHROW(check_round_trip(path));
    }
  }
}
