#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/run_cli.h"
#include "io/json.h"
#include "io/tensor_file.h"
#include "support/close.h"
#include "support/error_text.h"
#include "support/id_model.h"
#include "support/temp_dir.h"
#include "support/zoo.h"

namespace {

namespace fs = std::filesystem;
using weft::Value;
using weft::test::CliResult;
using weft::test::integers;
using weft::test::run_cli;
using weft::test::says;
using weft::test::TempDir;
using weft::test::text_of_ids;
using weft::test::write_id_model;
using weft::test::write_text;

// float32 forward passes with sums in another order than transformers'; the models' own tests hold 1e-5 on states.
constexpr double kTolerance = 1e-5;

struct EmbedPlace {
  TempDir dir;
  std::string base;
  explicit EmbedPlace(const std::string& golden = "bert_sentence", int end = -1)
      : base(write_id_model(dir / "base", golden, end).string()) {}

  fs::path out() const { return dir / "out.safetensors"; }
  CliResult run(const std::string& texts, const std::vector<std::string>& more = {}) const {
    write_text(dir / "texts.txt", texts);
    std::vector<std::string> arguments = {"embed", "--base",      base, "--file", (dir / "texts.txt").string(),
                                          "-o",    out().string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_cli(arguments);
  }
  at::Tensor embeddings(const std::string& texts, const std::vector<std::string>& more = {"--force"}) const {
    const CliResult result = run(texts, more);
    REQUIRE_MESSAGE(result.code == 0, result.err);
    return weft::io::open_safetensors(out())->load("embeddings").clone();
  }
};

}  // namespace

TEST_CASE("cli/embed: rows are what transformers computes, in file order, in batches of any size") {
  for (const char* folder : {"bert_sentence", "distilbert_sentence"}) {
    CAPTURE(std::string(folder));
    const EmbedPlace place(folder);
    const Value facts = weft::io::read_json(weft::test::golden_models() / folder / "golden.json");
    const auto tensors = weft::io::open_safetensors(weft::test::golden_models() / folder / "golden.safetensors");
    std::string texts;
    std::vector<at::Tensor> rows;
    for (const Value& one : facts.find("cases")->list) {
      if (one.find("token_types") != nullptr) continue;
      texts += text_of_ids(integers(one.find("ids"))) + "\n";
      rows.push_back(tensors->load("embedding/" + one.find("name")->scalar));
    }
    const at::Tensor golden = at::stack(rows);
    for (const char* budget : {"1", "50", "10000"}) {
      const at::Tensor found = place.embeddings(texts, {"--batch-tokens", budget, "--force"});
      CHECK((found.scalar_type() == at::kFloat));
      REQUIRE(found.sizes() == golden.sizes());
      CHECK(weft::test::relative(found, golden) <= kTolerance);
    }
  }
}

TEST_CASE("cli/embed: adapters act on embeddings") {
  const EmbedPlace place;
  const auto golden = weft::test::golden_models().parent_path() / "attached" / "bert_sentence_plain";
  const Value facts = weft::io::read_json(golden / "golden.json");
  const auto tensors = weft::io::open_safetensors(golden / "golden.safetensors");
  std::string texts;
  std::vector<at::Tensor> rows;
  for (const Value& one : facts.find("cases")->list) {
    texts += text_of_ids(integers(one.find("ids"))) + "\n";
    rows.push_back(tensors->load("embedding/" + one.find("name")->scalar));
  }
  const at::Tensor found = place.embeddings(texts, {"--adapter", (golden / "adapter").string(), "--force"});
  CHECK(weft::test::relative(found, at::stack(rows)) <= kTolerance);
}

TEST_CASE("cli/embed: an empty line is an empty text; special tokens carry it") {
  const EmbedPlace place("bert_sentence", 2);
  const at::Tensor found = place.embeddings("5 6\n\n\n7\n");
  CHECK(found.size(0) == 4);
  CHECK(at::equal(found[1], found[2]));
  const EmbedPlace bare;
  const CliResult result = bare.run("5\n\n7\n");
  CHECK(result.code == 3);
  CHECK(says(result.err, "texts.txt:2: the text has no tokens"));
  CHECK(!fs::exists(bare.out()));
}

TEST_CASE("cli/embed: texts are cut at max_seq_length alone, special tokens kept, with a warning") {
  const EmbedPlace place("bert_sentence", 2);
  const std::string longer = text_of_ids(std::vector<std::int64_t>(60, 9));
  const CliResult refused = place.run("5\n" + longer);
  CHECK(refused.code == 3);
  CHECK(says(refused.err, "texts.txt:2: 61 tokens, but"));
  CHECK(says(refused.err, "learned positions for 40 only"));

  write_text(fs::path(place.base) / "sentence_bert_config.json", R"({"max_seq_length": 8, "do_lower_case": false})");
  const CliResult cut = place.run("5\n" + longer + "\n9 9 9 9 9 9 9\n");
  REQUIRE(cut.code == 0);
  CHECK(says(cut.err, "1 of 3 texts are longer than 8 tokens (max_seq_length) and were cut, the first at line 2"));
  const at::Tensor found = weft::io::open_safetensors(place.out())->load("embeddings");
  CHECK(weft::test::relative(found[1], found[2]) <= 1e-6);  // the same ids

  write_text(fs::path(place.base) / "sentence_bert_config.json", R"({"max_seq_length": 0})");
  const CliResult wrong = place.run("5\n", {"--force"});
  CHECK(wrong.code == 3);
  CHECK(says(wrong.err, "sentence_bert_config.json:1"));
}

TEST_CASE("cli/embed: outputs are not replaced unless forced, and never an input") {
  const EmbedPlace place;
  CHECK(place.run("5\n").code == 0);
  const std::string first = weft::test::file_text(place.out());
  const CliResult again = place.run("6\n");
  CHECK(again.code == 2);
  CHECK(says(again.err, "exists already; --force replaces it"));
  CHECK(weft::test::file_text(place.out()) == first);
  CHECK(place.run("6\n", {"--force", "-q"}).out.empty());
  CHECK(weft::test::file_text(place.out()) != first);
  for (const fs::path& input : {place.dir / "texts.txt", fs::path(place.base) / "model.safetensors"}) {
    const CliResult result = run_cli(
        {"embed", "--base", place.base, "--file", (place.dir / "texts.txt").string(), "-o", input.string(), "--force"});
    CHECK(result.code == 2);
    CHECK(says(result.err, "the output is an input"));
  }
}

TEST_CASE("cli/embed: what cannot be embedded") {
  const EmbedPlace place, causal("llama");
  CHECK(place.run("").code == 3);
  CHECK(says(place.run("5\n\xFF\n").err, "texts.txt:2: not UTF-8"));
  const CliResult result = causal.run("5\n");
  CHECK(result.code == 3);
  CHECK(says(result.err, "is no encoder"));
  CHECK(place.run("5\n", {"--batch-tokens", "x"}).code == 2);
  CHECK(!fs::exists(place.out()));
}

TEST_CASE("cli/embed: all-MiniLM-L6-v2 as transformers has it") {
  const char* model = std::getenv("WEFT_MINILM");
  if (model == nullptr) {
    MESSAGE("skipped: WEFT_MINILM does not name the folder of all-MiniLM-L6-v2");
    return;
  }
  const fs::path golden = fs::path(WEFT_SOURCE_DIR) / "tests/golden/embeddings";
  const TempDir dir;
  const std::string out = (dir / "out.safetensors").string();
  const CliResult result = run_cli({"embed", "--base", model, "--file", (golden / "texts.txt").string(), "-o", out});
  REQUIRE_MESSAGE(result.code == 0, result.err);
  const at::Tensor found = weft::io::open_safetensors(out)->load("embeddings");
  const at::Tensor expected = weft::io::open_safetensors(golden / "all-MiniLM-L6-v2.safetensors")->load("embeddings");
  REQUIRE(found.sizes() == expected.sizes());
  CHECK(weft::test::relative(found, expected) <= kTolerance);
}
