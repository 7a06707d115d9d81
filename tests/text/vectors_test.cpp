#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

#include "support/tokenizer_golden.h"

using weft::test::escaped;
using weft::text::Tokenizer;

namespace {

std::vector<std::string> split_at(const std::string& text, const std::string& mark) {
  std::vector<std::string> parts;
  for (size_t at = 0;;) {
    const size_t next = text.find(mark, at);
    parts.push_back(text.substr(at, next - at));
    if (next == std::string::npos) return parts;
    at = next + mark.size();
  }
}

/// llama.cpp's vectors: texts, and a line of ids for each, without special tokens.
void check_vectors(const Tokenizer& tokenizer, const std::string& name) {
  CAPTURE(name);
  const auto stem = weft::test::shared_data("tokenizers/ggml-vocab/ggml-vocab-" + name + ".gguf.inp");
  if (stem.empty()) return;
  const auto texts = split_at(weft::test::whole_file(stem), "\n__ggml_vocab_test__\n");
  const auto lines = split_at(weft::test::whole_file(stem.parent_path() / (stem.stem().string() + ".out")), "\n");
  REQUIRE(texts.size() == 47);
  REQUIRE(lines.size() >= texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    std::istringstream line(lines[i]);
    std::vector<std::int64_t> ids;
    for (std::int64_t id = 0; line >> id;) ids.push_back(id);
    CAPTURE(escaped(texts[i]));
    CHECK(tokenizer.encode(texts[i], false) == ids);
  }
}

void check_vectors_with(const std::string& tokenizer, const std::string& name) {
  const auto path = weft::test::shared_data("tokenizers/" + tokenizer);
  if (!path.empty()) check_vectors(Tokenizer::open(path), name);
}

}  // namespace

TEST_CASE("text/vectors: GPT-2") { check_vectors_with("gpt2", "gpt-2"); }

TEST_CASE("text/vectors: BERT") { check_vectors_with("bert-base-uncased", "bert-bge"); }

TEST_CASE("text/vectors: Llama's SentencePiece model") {
  check_vectors_with("llama2-spm/tokenizer.model", "llama-spm");
}

TEST_CASE("text/vectors: Qwen from vocab.json and merges.txt") { check_vectors_with("qwen3", "qwen2"); }

TEST_CASE("text/vectors: stories260K, from tokenizer.json and from the SentencePiece model") {
  const auto folder = weft::test::shared_data("models/stories260K");
  if (folder.empty()) return;
  const weft::Value golden = weft::io::read_json(folder / "golden_tokenizer.json");
  for (const char* file : {"tokenizer.json", "tokenizer.model"}) {
    const std::string name = file;
    CAPTURE(name);
    const Tokenizer tokenizer = Tokenizer::open(folder / file);
    for (const weft::Value& row : golden.list) {
      const std::string& text = row.find("text")->scalar;
      CAPTURE(text);
      const auto ids = weft::test::ids_of(*row.find("ids_no_bos"));
      CHECK(tokenizer.encode(text, false) == ids);
      CHECK(tokenizer.decode(ids) == row.find("decoded")->scalar);
      auto started = ids;
      started.insert(started.begin(), 1);
      CHECK(tokenizer.encode(text) == started);
    }
  }
}
