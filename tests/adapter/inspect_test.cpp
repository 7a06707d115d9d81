#include "weft/adapter/inspect.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "io/json.h"
#include "support/make_adapter.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace weft::adapter {
namespace {

constexpr const char* kTinyConfig = R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8})";

bool some_warning(const std::vector<std::string>& texts, const std::string& part) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const std::string& t) { return t.find(part) != std::string::npos; });
}

/// All blocks of a module's delta in one vector, float64.
Tensor flat_delta(const Adapter& adapter, const ModuleInfo& info) {
  std::vector<Tensor> parts;
  for (const LowRank& x : adapter.load(info).blocks)
    parts.push_back(at::matmul(x.b.to(at::kDouble), x.a.to(at::kDouble)).mul(x.scale).flatten());
  return at::cat(parts);
}

}  // namespace

TEST_CASE("adapter/inspect: Gram and cosine of the real gpt2 adapters") {
  const auto data = test::shared_data("adapters");
  if (data.empty()) return;
  const Value golden = io::read_json(data / "golden_pool_gram.json");
  const Value& gpt2 = *golden.find("gpt2");
  const Pool pool = Pool::open({{data / "gpt2" / "domain-legal", ""},
                                {data / "gpt2" / "domain-medical", ""},
                                {data / "gpt2" / "domain-sports", ""}});
  const PoolReport one = inspect(pool, 1), report = inspect(pool, 2);
  CHECK(one.gram == report.gram);  // bit for bit, whatever the threads
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j) {
      const double want = *gpt2.find("gram")->list[i].list[j].number();
      CHECK(std::abs(report.gram[i][j] - want) <= 1e-9 * std::abs(want));  // both in float64
      const double cosine = *gpt2.find("cosine")->list[i].list[j].number();
      CHECK(std::abs(report.cosine[i][j] - cosine) <= 1e-6 * std::abs(cosine));
      CHECK(report.shared[i][j] == 1.0);
      CHECK(report.overlap[i][j] >= 0.0);
      CHECK(report.overlap[i][j] <= 1.0);
    }
  CHECK(report.overlap[1][1] == doctest::Approx(1.0));
  CHECK(report.common_modules.size() == 36);
  CHECK(report.adapters[0].norm == doctest::Approx(std::sqrt(report.gram[0][0])));
  CHECK(report.adapters[0].modules.size() == 36);
  CHECK(report.adapters[0].modules[0].effective_rank > 1.0);
  CHECK(report.adapters[0].modules[0].effective_rank <= 8.0);
}

TEST_CASE("adapter/inspect: every kind of layer agrees with its dense delta") {
  test::TempDir dir;
  at::manual_seed(21);
  const std::string p = "base_model.model.";
  const auto member = [&](const std::string& name) {
    test::NamedTensors t{
        {p + "wte.lora_embedding_A", at::randn({4, 30})},       {p + "wte.lora_embedding_B", at::randn({8, 4})},
        {p + "conv.lora_A.weight", at::randn({4, 3, 3, 3})},    {p + "conv.lora_B.weight", at::randn({6, 4, 1, 1})},
        {p + "grouped.lora_A.weight", at::randn({4, 8, 3, 3})}, {p + "grouped.lora_B.weight", at::randn({6, 2, 1, 1})},
        {p + "experts.lora_A.weight", at::randn({12, 5})},      {p + "experts.lora_B.weight", at::randn({8, 12})}};
    test::add_pair(t, "q", 10, 6, 4);
    return test::write_peft(dir / name,
                            R"({"peft_type": "LORA", "r": 4, "lora_alpha": 3, "target_modules": ["q", "conv", "wte"],
                                "target_parameters": ["experts.gate_up_proj"]})",
                            t);
  };
  const Pool pool = Pool::open({{member("a"), ""}, {member("b"), ""}});
  const PoolReport report = inspect(pool);
  REQUIRE(pool.modules().size() == 5);
  double gram = 0.0;
  for (size_t m = 0; m < pool.modules().size(); ++m) {
    std::vector<Tensor> flat;
    for (size_t i = 0; i < 2; ++i) {
      const ModuleInfo& info = pool.adapters()[i].modules()[static_cast<size_t>(pool.modules()[m].slots[i])];
      flat.push_back(flat_delta(pool.adapters()[i], info));
      CHECK(report.adapters[i].modules[m].norm == doctest::Approx(flat[i].norm().item<double>()).epsilon(1e-10));
      CHECK(report.adapters[i].modules[m].singular_values.size() <= static_cast<size_t>(info.rank));
    }
    gram += flat[0].dot(flat[1]).item<double>();
  }
  CHECK(report.gram[0][1] == doctest::Approx(gram).epsilon(1e-9));
}

TEST_CASE("adapter/inspect: unequal module sets") {
  test::TempDir dir;
  at::manual_seed(22);
  test::NamedTensors a, b;
  for (const char* name : {"l.0.q", "l.1.q"}) test::add_pair(a, name, 10, 6, 4);
  for (const char* name : {"l.1.q", "l.2.q", "l.3.q"}) test::add_pair(b, name, 10, 6, 4);
  const Pool pool = Pool::open(
      {{test::write_peft(dir / "a", kTinyConfig, a), ""}, {test::write_peft(dir / "b", kTinyConfig, b), ""}});
  const PoolReport report = inspect(pool);
  CHECK(report.common_modules == std::vector<std::string>{"l.1.q"});
  CHECK(report.shared[0][1] == doctest::Approx(0.25));
  CHECK(report.adapters[1].modules.size() == 3);
  CHECK(report.adapters[0].parameters == 2 * 64);
}

TEST_CASE("adapter/inspect: zero updates, NaN and odd scales are reported, not thrown") {
  test::TempDir dir;
  at::manual_seed(23);
  const std::string p = "base_model.model.";
  test::NamedTensors zero, broken, odd;
  for (const char* name : {"q", "k"}) {
    zero.emplace_back(p + name + ".lora_A.weight", at::randn({4, 6}));
    zero.emplace_back(p + name + ".lora_B.weight", at::zeros({10, 4}));
    test::add_pair(broken, name, 10, 6, 4);
  }
  broken[0].second[1][2] = std::numeric_limits<float>::quiet_NaN();
  for (const char* name : {"q", "k", "v", "o"}) test::add_pair(odd, name, 10, 6, 4);
  odd[0].second.mul_(1e4);
  const Pool pool =
      Pool::open({{test::write_peft(dir / "zero", kTinyConfig, zero), ""},
                  {test::write_peft(dir / "broken", kTinyConfig, broken), ""},
                  {test::write_peft(dir / "odd", R"({"peft_type": "LORA", "r": 4, "lora_alpha": 400})", odd), ""}});
  const PoolReport report = inspect(pool);
  CHECK(some_warning(report.adapters[0].warnings, "every update is zero"));
  CHECK(report.cosine[0][2] == 0.0);
  CHECK(report.overlap[0][2] == 0.0);
  CHECK(some_warning(report.adapters[1].warnings, "q.lora_A"));
  CHECK(report.adapters[1].modules.size() == 1);
  CHECK(some_warning(report.adapters[2].warnings, "unusual scale"));
  CHECK(some_warning(report.adapters[2].warnings, "times the median"));
}

TEST_CASE("adapter/inspect: refused adapters and misfits are named, the rest is measured") {
  test::TempDir dir;
  at::manual_seed(24);
  test::NamedTensors a, b;
  test::add_pair(a, "q", 10, 6, 4);
  test::add_pair(b, "q", 12, 6, 4);
  b.emplace_back("base_model.model.q.lora_magnitude_vector", at::rand({12}));
  const Pool pool = Pool::open(
      {{test::write_peft(dir / "a", kTinyConfig, a), ""},
       {test::write_peft(dir / "b", R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "use_dora": true})", b), ""}});
  const PoolReport report = inspect(pool);
  CHECK(some_warning(report.warnings, "module q: a is [10, 6], b is [12, 6]"));
  CHECK(some_warning(report.warnings, "mixed variants"));
  CHECK(some_warning(report.adapters[1].warnings, "low-rank part only"));
  CHECK(report.gram[0][0] > 0.0);
  CHECK(report.gram[0][1] == 0.0);
}

}  // namespace weft::adapter
