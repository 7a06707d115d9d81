#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cli/run_cli.h"
#include "io/json.h"
#include "support/error_text.h"
#include "support/id_model.h"
#include "support/temp_dir.h"
#include "support/zoo.h"

using weft::Value;
using weft::test::run_cli;
using weft::test::says;
using weft::test::TempDir;
using weft::test::write_id_model;

TEST_CASE("cli/inspect: a base model, as a table and as JSON") {
  const TempDir dir;
  const std::string base = write_id_model(dir / "base", "llama").string();
  const auto result = run_cli({"inspect", base});
  CHECK(result.code == 0);
  CHECK(says(result.out, "llama (causal)"));
  CHECK(says(result.out, "model.layers.0.self_attn.q_proj"));
  const Value json = weft::io::parse_json(run_cli({"inspect", base, "--json"}).out, "out");
  const Value& model = json.find("models")->list.at(0);
  CHECK(model.find("family")->scalar == "llama");
  CHECK(model.find("kind")->scalar == "causal");
  CHECK(model.find("architecture")->scalar == "LlamaForCausalLM");
  CHECK(model.find("dtype")->scalar == "float32");
  CHECK(model.find("parameters")->integer().value_or(0) > 1000);
  CHECK(model.find("vocabulary")->integer() == 61);
  CHECK(says(model.find("tokenizer")->scalar, "tokenizer.json"));
  bool found = false;
  for (const Value& module : model.find("modules")->list)
    if (module.find("name")->scalar == "model.layers.0.self_attn.q_proj") {
      found = true;
      CHECK(module.find("shape")->list.size() == 2);
      CHECK(module.find("dtype")->scalar == "float32");
    }
  CHECK(found);
}

TEST_CASE("cli/inspect: of a base model what is unsupported is said") {
  const TempDir dir;
  const auto base = write_id_model(dir / "base", "llama");
  std::filesystem::remove(base / "tokenizer.json");
  const auto bare = run_cli({"inspect", base.string()});
  CHECK(bare.code == 0);
  CHECK(says(bare.err, "no tokenizer"));
  weft::test::write_text(base / "tokenizer.json", "{}");
  CHECK(says(run_cli({"inspect", base.string()}).err, "the tokenizer cannot be used"));
}

TEST_CASE("cli/inspect: base models and adapters apart") {
  const TempDir dir;
  const std::string base = write_id_model(dir / "base", "llama").string();
  const std::string adapter = weft::test::write_zoo_adapter(dir / "a", 1, 3).string();
  const auto mixed = run_cli({"inspect", adapter, base});
  CHECK(mixed.code == 2);
  CHECK(says(mixed.err, "inspect base models and adapters apart"));
  const auto two = run_cli({"inspect", base, base, "--json"});
  CHECK(two.code == 0);
  CHECK(weft::io::parse_json(two.out, "out").find("models")->list.size() == 2);
}
