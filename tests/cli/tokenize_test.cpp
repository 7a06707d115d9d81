#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "cli/run_cli.h"
#include "io/json.h"
#include "support/temp_dir.h"

using weft::test::run_cli;

namespace {

/// A small tokenizer whose post-processor puts <s> in front.
std::string small_base() { return WEFT_SOURCE_DIR "/tests/golden/tokenizers/models/llama2"; }

std::string text_file(const weft::test::TempDir& dir, const std::string& content) {
  const std::filesystem::path path = dir / "texts.txt";
  std::ofstream(path, std::ios::binary) << content;
  return path.string();
}

/// The first id of each text, and how many there are.
std::string first_ids(const weft::Value& json) {
  std::string out;
  for (const weft::Value& text : json.find("texts")->list) {
    CHECK(text.find("ids")->list.size() == text.find("tokens")->list.size());
    out += text.find("ids")->list.empty() ? "- " : text.find("ids")->list.front().scalar + " ";
  }
  return out;
}

}  // namespace

TEST_CASE("cli/tokenize: a text as ids and as JSON") {
  const auto plain = run_cli({"tokenize", "--base", small_base(), "--text", "<s> a"});
  CHECK(plain.code == 0);
  CHECK(plain.err.empty());
  CHECK(plain.out.starts_with("1 1 "));
  CHECK(plain.out.find('\n') == plain.out.size() - 1);
  const auto result = run_cli({"tokenize", "--base", small_base(), "--text", "Hello \xC3\xA9", "--json"});
  CHECK(result.code == 0);
  const weft::Value json = weft::io::parse_json(result.out, "out");
  REQUIRE(json.find("texts")->list.size() == 1);
  const weft::Value& first = json.find("texts")->list.front();
  CHECK(first.find("ids")->list.front().integer() == 1);
  CHECK(first.find("tokens")->list.front().scalar == "<s>");
}

TEST_CASE("cli/tokenize: a file has one text a line, an empty line is an empty text") {
  const weft::test::TempDir dir;
  const std::string file = text_file(dir, "one\n\nthree\n");
  const auto result = run_cli({"tokenize", "--base", small_base(), "--file", file, "--json"});
  CHECK(result.code == 0);
  CHECK(first_ids(weft::io::parse_json(result.out, "out")) == "1 1 1 ");
  const auto bare = run_cli({"tokenize", "--base", small_base(), "--file", file, "--json", "--no-special-tokens"});
  const weft::Value json = weft::io::parse_json(bare.out, "out");
  CHECK(json.find("texts")->list.at(1).find("ids")->list.empty());
  CHECK(json.find("texts")->list.at(0).find("ids")->list.size() > 0);
  const auto lines = run_cli({"tokenize", "--base", small_base(), "--file", file, "--no-special-tokens"});
  CHECK(lines.out.find("\n\n") != std::string::npos);
}

TEST_CASE("cli/tokenize: a text may be empty") {
  const auto result = run_cli({"tokenize", "--base", small_base(), "--text", ""});
  CHECK(result.code == 0);
  CHECK(result.out == "1\n");
}

TEST_CASE("cli/tokenize: bytes that are not UTF-8 are refused with their line") {
  const weft::test::TempDir dir;
  const std::string file = text_file(dir, "good\nbad \xFF\n");
  const auto result = run_cli({"tokenize", "--base", small_base(), "--file", file});
  CHECK(result.code == 3);
  CHECK(result.out.empty());
  CHECK(result.err.find(file + ":2") != std::string::npos);
  CHECK(run_cli({"tokenize", "--base", small_base(), "--text", "\xFF"}).code == 2);
}

TEST_CASE("cli/tokenize: what is missing or too much") {
  const weft::test::TempDir dir;
  CHECK(run_cli({"tokenize", "--base", small_base()}).code == 2);
  CHECK(run_cli({"tokenize", "--text", "a"}).code == 2);
  CHECK(run_cli({"tokenize", "--base", small_base(), "--text", "a", "--file", "b"}).code == 2);
  CHECK(run_cli({"tokenize", "--base", small_base(), "--file", (dir / "gone").string()}).code == 3);
  CHECK(run_cli({"tokenize", "--base", dir.path().string(), "--text", "a"}).code == 3);
  CHECK(run_cli({"tokenize", "--base", (dir / "gone").string(), "--text", "a"}).code == 3);
}
