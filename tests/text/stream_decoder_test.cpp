#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "support/error_text.h"
#include "support/temp_dir.h"
#include "weft/text/tokenizer.h"

using namespace weft::text;
using weft::test::error_text;
using weft::test::says;
using weft::test::TempDir;

namespace {

using Ids = std::vector<std::int64_t>;

/// A tokenizer of Llama's kind, with a few bytes, and its configuration files.
Tokenizer small_llama(const TempDir& folder) {
  std::ofstream(folder.path() / "tokenizer.json") << R"({"version": "1.0", "added_tokens": [
    {"id": 1, "content": "<s>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
      {"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
    "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "fuse_unk": true,
      "vocab": {"<unk>": 0, "<s>": 1, "▁": 2, "a": 3, "b": 4, "▁a": 5, "<0xC3>": 6, "<0xA9>": 7, "<0x0A>": 8},
      "merges": ["▁ a"]}})";
  std::ofstream(folder.path() / "tokenizer_config.json")
      << R"({"bos_token": "<s>", "eos_token": {"content": "b"}, "pad_token": null, "unk_token": "nowhere"})";
  std::ofstream(folder.path() / "special_tokens_map.json") << R"({"pad_token": "a", "bos_token": "b"})";
  return Tokenizer::open(folder.path());
}

std::string streamed(const Tokenizer& tokenizer, const Ids& context, const Ids& ids) {
  StreamDecoder stream(tokenizer, context);
  std::string text;
  for (const std::int64_t id : ids) text += stream.push(id);
  return text + stream.finish();
}

}  // namespace

TEST_CASE("text/tokenizer: a folder with its configuration") {
  const TempDir folder;
  const Tokenizer tokenizer = small_llama(folder);
  CHECK(tokenizer.encode("a ab") == Ids{1, 5, 5, 4});
  CHECK(tokenizer.encode("a", false) == Ids{5});
  CHECK(tokenizer.encode("", true) == Ids{1});
  CHECK(tokenizer.encode("\u00e9<s>a") == Ids{1, 2, 6, 7, 1, 5});
  CHECK(tokenizer.decode(Ids{1, 5, 5, 4}) == "a ab");
  CHECK(tokenizer.decode(Ids{1, 5, 5, 4}, false) == "<s> a ab");
  CHECK(tokenizer.bos() == 1);
  CHECK(tokenizer.eos() == 4);
  CHECK(tokenizer.pad() == 3);
  CHECK(tokenizer.unk() == 0);
  CHECK(tokenizer.size() == 9);
  CHECK(tokenizer.token(5) == "\u2581a");
  CHECK(tokenizer.token(77).empty());
  CHECK(tokenizer.id("\u2581a") == 5);
  CHECK(!tokenizer.id("zz"));
  CHECK(tokenizer.path().filename() == "tokenizer.json");
  CHECK(Tokenizer::present(folder.path()));
  const std::vector<std::string> texts = {"a", "", "b b"};
  const auto all = tokenizer.encode_all(texts, true, 2);
  REQUIRE(all.size() == 3);
  for (size_t i = 0; i < texts.size(); ++i) CHECK(all[i] == tokenizer.encode(texts[i]));
  CHECK(says(error_text([&] { tokenizer.encode("a\u00e9\xC3!"); }), "byte 3"));
}

TEST_CASE("text/tokenizer: a folder without a tokenizer") {
  const TempDir folder;
  CHECK(!Tokenizer::present(folder.path()));
  CHECK(says(error_text([&] { Tokenizer::open(folder.path()); }), "there is no tokenizer"));
  CHECK(says(error_text([&] { Tokenizer::open(folder.path() / "x.json"); }), "there is no such file"));
  std::ofstream(folder.path() / "x.bin") << "x";
  CHECK(says(error_text([&] { Tokenizer::open(folder.path() / "x.bin"); }), "not a tokenizer file"));
  std::ofstream(folder.path() / "tokenizer.json") << "{\n";
  CHECK(says(error_text([&] { Tokenizer::open(folder.path()); }), "tokenizer.json:2:1: not valid JSON"));
}

TEST_CASE("text/stream_decoder: the pieces join to the whole text") {
  const TempDir folder;
  const Tokenizer tokenizer = small_llama(folder);
  for (const Ids& ids :
       {Ids{1, 5, 5, 4}, Ids{5, 6, 7, 3}, Ids{6, 7, 8, 8, 2, 5}, Ids{8, 6, 5}, Ids{6}, Ids{2, 2, 2, 5}, Ids{}})
    CHECK(streamed(tokenizer, {}, ids) == tokenizer.decode(ids));
  // Behind a context the leading blank stays.
  CHECK(streamed(tokenizer, {1, 5}, {5, 4}) == " ab");
  CHECK(streamed(tokenizer, {1}, {5, 4}) == "ab");
  CHECK(streamed(tokenizer, {1, 5, 6}, {7, 4}) == "\u00e9b");
}

TEST_CASE("text/stream_decoder: text comes as soon as it is final") {
  const TempDir folder;
  const Tokenizer tokenizer = small_llama(folder);
  StreamDecoder stream(tokenizer);
  CHECK(stream.push(1).empty());
  CHECK(stream.push(5) == "a");
  CHECK(stream.push(6).empty());
  CHECK(stream.push(7).empty());  // one more byte could spoil the run
  CHECK(stream.push(4) == "\u00e9b");
  CHECK(stream.push(99).empty());
  CHECK(stream.push(8).empty());
  CHECK(stream.finish() == "\n");
  CHECK(stream.finish().empty());
}
