#include "flow/start_adapter.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/close.h"
#include "support/error_text.h"
#include "support/make_adapter.h"
#include "support/temp_dir.h"
#include "weft/core/error.h"

namespace weft::flow {
namespace {

using test::error_text;
using test::says;
using test::TempDir;

constexpr const char* kModule = "model.layers.0.q_proj";

/// An adapter of rank 3 and scale 2.
std::filesystem::path make_source(const TempDir& dir, const std::string& name) {
  test::NamedTensors tensors;
  test::add_pair(tensors, kModule, 20, 12, 3);
  return test::write_peft(dir / name, R"({"peft_type": "LORA", "r": 3, "lora_alpha": 6})", tensors);
}

Tensor delta_of(const adapter::Adapter& adapter) {
  const adapter::LowRank update = adapter.load(*adapter.find(kModule)).blocks[0];
  return at::matmul(update.b.to(at::kDouble), update.a.to(at::kDouble)).mul(update.scale);
}

/// How far the best approximation of rank k is, relative.
double truncation(const Tensor& x, std::int64_t k) { return test::best_error(x, k); }

}  // namespace

TEST_CASE("flow/start_adapter: one adapter with weight 1 is itself") {
  const TempDir dir;
  at::manual_seed(1);
  const auto a = make_source(dir, "a");
  const StartAdapter start({{a, ""}}, {}, "", 3);
  CHECK(start.adapter().info().path == a);
  CHECK(start.record().find("adapters")->list[0].find("name")->scalar == "a");
  CHECK(start.record().find("error") == nullptr);
  CHECK(StartAdapter({{a, ""}}, {1.0}, "", 8).adapter().info().path == a);
}

TEST_CASE("flow/start_adapter: a weighted sum, exact where the rank allows, truncated best otherwise") {
  const TempDir dir;
  at::manual_seed(2);
  const auto a = make_source(dir, "a"), b = make_source(dir, "b");
  const Tensor sum = delta_of(adapter::Adapter::open(a)).mul(0.75).sub(delta_of(adapter::Adapter::open(b)), 0.5);
  const StartAdapter whole({{a, ""}, {b, ""}}, {0.75, -0.5}, "", 6);
  CHECK(test::relative(delta_of(whole.adapter()), sum) < 1e-6);  // float32 factors
  const StartAdapter less({{a, ""}, {b, "other"}}, {0.75, -0.5}, "", 4);
  CHECK(less.adapter().modules()[0].rank == 4);
  CHECK(test::relative(delta_of(less.adapter()), sum) == doctest::Approx(truncation(sum, 4)).epsilon(1e-4));
  const Value& record = less.record();
  CHECK(*record.find("error")->number() == doctest::Approx(truncation(sum, 4)).epsilon(1e-4));
  CHECK(*record.find("rank")->integer() == 4);
  CHECK(record.find("adapters")->list[1].find("name")->scalar == "other");
  CHECK(*record.find("adapters")->list[1].find("weight")->number() == -0.5);
  const StartAdapter half({{a, ""}}, {0.5}, "", 3);
  CHECK(test::relative(delta_of(half.adapter()), delta_of(adapter::Adapter::open(a)).mul(0.5)) < 1e-6);
  const StartAdapter narrow({{a, ""}}, {}, "", 1);
  CHECK(narrow.adapter().modules()[0].rank == 1);
}

TEST_CASE("flow/start_adapter: nothing stays behind") {
  const TempDir dir;
  at::manual_seed(3);
  const auto a = make_source(dir, "a"), b = make_source(dir, "b");
  std::filesystem::path folder;
  {
    const StartAdapter start({{a, ""}, {b, ""}}, {}, "", 2);
    folder = start.adapter().info().path.parent_path();
    CHECK(std::filesystem::exists(folder));
  }
  CHECK_FALSE(std::filesystem::exists(folder));
  CHECK(says(error_text<UsageError>([&] { StartAdapter({{a, ""}, {b, ""}}, {1.0}, "", 2); }), "1 weights for 2"));
  CHECK(says(error_text<UsageError>([&] { StartAdapter({}, {}, "", 2); }), "no adapter"));
  CHECK(says(error_text<UsageError>([&] { StartAdapter({{a, ""}}, {}, "", 0); }), "rank 0"));
  CHECK_THROWS_AS(StartAdapter({{dir / "none", ""}}, {}, "", 2), InputError);
}

}  // namespace weft::flow
