#include "weft/adapter/pool.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "support/make_adapter.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace weft::adapter {
namespace {

constexpr const char* kPlainConfig =
    R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": "tiny"})";

struct PoolModuleShape {
  std::string name;
  std::int64_t out, in;
};

std::filesystem::path make_pool_member(const std::filesystem::path& dir, const std::vector<PoolModuleShape>& modules,
                                       const std::string& config = kPlainConfig) {
  test::NamedTensors tensors;
  for (const auto& m : modules) test::add_pair(tensors, m.name, m.out, m.in, 4);
  return test::write_peft(dir, config, tensors);
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

bool any_holds(const std::vector<std::string>& texts, const std::string& part) {
  return std::any_of(texts.begin(), texts.end(), [&](const std::string& t) { return holds(t, part); });
}

}  // namespace

TEST_CASE("adapter/pool: union of modules in natural order") {
  test::TempDir dir;
  const auto a = make_pool_member(dir / "a", {{"l.10.q", 8, 6}, {"l.2.q", 8, 6}});
  const auto b = make_pool_member(dir / "b", {{"l.2.q", 8, 6}, {"l.1.v", 4, 6}});
  const Pool pool = Pool::open({{a, ""}, {b, "second"}});
  CHECK(pool.adapters()[0].info().name == "a");
  CHECK(pool.adapters()[1].info().name == "second");
  REQUIRE(pool.modules().size() == 3);
  CHECK(pool.modules()[0].info.name == "l.1.v");
  CHECK(pool.modules()[1].info.name == "l.2.q");
  CHECK(pool.modules()[1].owners == std::vector<int>{0, 1});
  CHECK(pool.modules()[1].rank_sum == 8);
  CHECK(pool.modules()[2].info.name == "l.10.q");
  for (const PoolModule& m : pool.modules())
    for (size_t k = 0; k < m.owners.size(); ++k)
      CHECK(pool.adapters()[static_cast<size_t>(m.owners[k])].modules()[static_cast<size_t>(m.slots[k])].name ==
            m.info.name);
  CHECK(pool.misfits().empty());
  CHECK_NOTHROW(pool.check_compatible());
}

TEST_CASE("adapter/pool: every misfit is explained at once") {
  test::TempDir dir;
  std::vector<PoolModuleShape> small, large;
  for (int i = 0; i < 30; ++i) {
    small.push_back({"l." + std::to_string(i) + ".q", 8, 6});
    large.push_back({"l." + std::to_string(i) + ".q", 16, 6});
  }
  const auto a = make_pool_member(dir / "a", small);
  const auto b = make_pool_member(dir / "b", large);
  const auto c = make_pool_member(dir / "c", small);
  const Pool pool = Pool::open({{a, ""}, {b, ""}, {c, ""}});
  CHECK(pool.misfits().size() == 30);
  CHECK_THROWS_AS(pool.check_compatible(), InputError);
  const std::string text = message_of([&] { pool.check_compatible(); });
  CHECK(holds(text, "module l.0.q: a (and 1 more) is [8, 6], b is [16, 6]"));
  CHECK(holds(text, "module l.19.q"));
  CHECK_FALSE(holds(text, "module l.20.q"));
  CHECK(holds(text, "and 10 more"));
}

TEST_CASE("adapter/pool: all adapters that cannot be opened are named") {
  test::TempDir dir;
  const auto good = make_pool_member(dir / "good", {{"q", 8, 6}});
  const std::vector<Pool::Source> sources{{dir / "nowhere", ""}, {good, ""}, {dir / "elsewhere", ""}};
  CHECK_THROWS_AS(Pool::open(sources), InputError);
  const std::string text = message_of([&] { Pool::open(sources); });
  CHECK(holds(text, "2 of 3 adapters cannot be opened"));
  CHECK(holds(text, "nowhere"));
  CHECK(holds(text, "elsewhere"));
  CHECK_THROWS_AS(Pool::open({}), UsageError);
}

TEST_CASE("adapter/pool: equal names are refused, given ones win") {
  test::TempDir dir;
  const auto a = make_pool_member(dir / "x" / "a", {{"q", 8, 6}});
  const auto b = make_pool_member(dir / "b", {{"q", 8, 6}});
  CHECK_THROWS_AS(Pool::open({{a, "n"}, {b, "n"}}), UsageError);
  CHECK_THROWS_AS(Pool::open({{a, ""}, {a, ""}}), UsageError);
  const Pool pool = Pool::open({{a, ""}, {b, "a"}});
  CHECK(pool.adapters()[0].info().name == "x/a");
  CHECK(Pool::open({{a, "one"}, {a, "two"}}).size() == 2);
}

TEST_CASE("adapter/pool: remarks on what does not fit together well") {
  test::TempDir dir;
  const auto a = make_pool_member(dir / "a", {{"q", 8, 6}});
  const auto b = make_pool_member(
      dir / "b", {{"q", 8, 6}},
      R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": "other", "fan_in_fan_out": true})");
  const auto c = make_pool_member(dir / "c", {{"k", 8, 6}});
  const Pool pool = Pool::open({{a, ""}, {b, ""}, {c, ""}});
  CHECK(any_holds(pool.warnings(), "fan_in_fan_out differs: false (a, c), true (b)"));
  CHECK(any_holds(pool.warnings(), "no module in common with any other adapter: c"));
  CHECK(any_holds(pool.warnings(), "base model names differ: tiny (a, c), other (b)"));
  CHECK(Pool::open({{a, ""}}).warnings().empty());
}

TEST_CASE("adapter/pool: layer_replication must be the same") {
  test::TempDir dir;
  const auto a = make_pool_member(dir / "a", {{"q", 8, 6}});
  const auto b =
      make_pool_member(dir / "b", {{"q", 8, 6}},
                       R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "layer_replication": [[0, 2], [1, 3]]})");
  CHECK(any_holds(Pool::open({{a, ""}, {b, ""}}).misfits(), "layer_replication"));
  CHECK(Pool::open({{b, "one"}, {b, "two"}}).misfits().empty());
}

TEST_CASE("adapter/pool: the real gpt2 adapters fit, another base does not") {
  const auto data = test::shared_data("adapters");
  if (data.empty()) return;
  const Pool pool = Pool::open({{data / "gpt2" / "domain-legal", ""},
                                {data / "gpt2" / "domain-medical", ""},
                                {data / "gpt2" / "domain-sports", ""}});
  CHECK(pool.modules().size() == 36);
  CHECK(pool.misfits().empty());
  CHECK(pool.adapters()[0].info().name == "domain-legal");
  const Pool mixed =
      Pool::open({{data / "gpt2" / "domain-legal", ""}, {data / "open-calm-1b" / "deltacompression-r1-fp16", ""}});
  CHECK(any_holds(mixed.warnings(), "no module in common"));
}

TEST_CASE("adapter/pool: a thousand adapters are surveyed quickly") {
  test::TempDir dir;
  std::vector<PoolModuleShape> modules;
  for (int i = 0; i < 72; ++i) modules.push_back({"model.layers." + std::to_string(i) + ".self_attn.q_proj", 4, 4});
  const auto path = make_pool_member(dir / "a", modules);
  std::vector<Pool::Source> sources;
  for (int i = 0; i < 1000; ++i) sources.push_back({path, "n" + std::to_string(i)});
  const auto start = std::chrono::steady_clock::now();
  const Pool pool = Pool::open(sources);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  MESSAGE("1,000 adapters of 72 modules opened and surveyed in " << seconds << " s");
  CHECK(pool.modules().size() == 72);
  CHECK(seconds < 10.0);  // only catches quadratic work; sanitizers and busy machines are slow
}

}  // namespace weft::adapter
