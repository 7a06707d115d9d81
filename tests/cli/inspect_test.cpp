#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cli/run_cli.h"
#include "io/json.h"
#include "support/temp_dir.h"
#include "support/zoo.h"

using weft::test::run_cli;

TEST_CASE("cli/inspect: one adapter with its modules") {
  const weft::test::TempDir dir;
  const std::string path = weft::test::write_zoo_adapter(dir / "a", 1, 3).string();
  const auto result = run_cli({"inspect", path});
  CHECK(result.code == 0);
  CHECK(result.out.find("model.layers.1.mlp.up_proj") != std::string::npos);
  CHECK(result.out.find("zoo/base") != std::string::npos);
  const weft::Value json = weft::io::parse_json(run_cli({"inspect", path, "--json"}).out, "out");
  const weft::Value& adapter = json.find("adapters")->list.at(0);
  CHECK(adapter.find("base_model")->scalar == "zoo/base");
  CHECK(adapter.find("dtype")->scalar == "float32");
  const weft::Value& module = adapter.find("modules")->list.at(0);
  CHECK(module.find("rank")->integer() == 3);
  CHECK(module.find("scale")->number() == 2);
  CHECK(module.find("norm")->number().value_or(0) > 0);
  CHECK(module.find("effective_rank")->number().value_or(0) > 1);
}

TEST_CASE("cli/inspect: a pool with its similarities") {
  const weft::test::TempDir dir;
  const std::string a = weft::test::write_zoo_adapter(dir / "a", 1, 3).string();
  const std::string b = weft::test::write_zoo_adapter(dir / "b", 2, 2).string();
  const auto result = run_cli({"inspect", a, "same=" + a, b});
  CHECK(result.code == 0);
  CHECK(result.out.find("pool: 3 adapters, 4 modules, 4 of them in every adapter") != std::string::npos);
  CHECK(result.out.find("cosine of deltas") != std::string::npos);
  const weft::Value json = weft::io::parse_json(run_cli({"inspect", a, "same=" + a, b, "--json"}).out, "out");
  const auto& cosine = json.find("pool")->find("cosine")->list;
  REQUIRE(cosine.size() == 3);
  // Float32 factors summed in float64: rounding stays far below 1e-5.
  CHECK(cosine[0].list[1].number().value_or(0) == doctest::Approx(1.0).epsilon(1e-5));
  CHECK(json.find("pool")->find("common_modules")->list.size() == 4);
  const auto quick = run_cli({"inspect", a, b, "--headers", "--json"});
  CHECK(weft::io::parse_json(quick.out, "out").find("pool")->find("cosine") == nullptr);
}

TEST_CASE("cli/inspect: what cannot be opened exits with 3") {
  const weft::test::TempDir dir;
  const auto result = run_cli({"inspect", (dir / "gone").string()});
  CHECK(result.code == 3);
  CHECK(result.err.find("weft: error: ") == 0);
}
