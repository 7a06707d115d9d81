#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/error_text.h"
#include "support/temp_dir.h"
#include "weft/text/tokenizer.h"

using weft::test::error_text;
using weft::test::says;
using weft::text::Tokenizer;

namespace {

using Ids = std::vector<std::int64_t>;

/// A small model of the golden files, with a configuration beside it.
class ModelFolder {
 public:
  explicit ModelFolder(const std::string& model) {
    const auto from = std::filesystem::path(WEFT_SOURCE_DIR) / "tests/golden/tokenizers/models" / model;
    std::filesystem::copy_file(from / "tokenizer.model", dir_ / "tokenizer.model");
  }
  void write(const std::string& name, const std::string& content) const {
    std::ofstream(dir_ / name, std::ios::binary) << content;
  }
  Tokenizer open() const { return Tokenizer::open(dir_.path()); }

 private:
  weft::test::TempDir dir_;
};

constexpr std::int64_t kBos = 1, kEos = 2;

}  // namespace

TEST_CASE("text/sentencepiece: a bare model adds nothing and knows its own special tokens") {
  const ModelFolder folder("spm_bpe");
  const Tokenizer tokenizer = folder.open();
  CHECK(tokenizer.encode("the") == tokenizer.encode("the", false));
  CHECK(tokenizer.bos() == kBos);
  CHECK(tokenizer.eos() == kEos);
  CHECK(tokenizer.unk() == 0);
  CHECK(!tokenizer.pad());
  CHECK(tokenizer.is_special(kBos));
  CHECK(!tokenizer.is_special(20));
  CHECK(tokenizer.size() == 700);
  CHECK(tokenizer.token(kBos) == "<s>");
  CHECK(tokenizer.id("</s>") == kEos);
}

TEST_CASE("text/sentencepiece: the class decides about start and end tokens, the configuration has the last word") {
  const ModelFolder folder("spm_bpe");
  const Ids plain = folder.open().encode("the dog");
  const auto with = [&](bool bos, bool eos) {
    Ids ids = plain;
    if (bos) ids.insert(ids.begin(), kBos);
    if (eos) ids.push_back(kEos);
    return ids;
  };
  folder.write("config.json", R"({"model_type": "llama"})");
  CHECK(folder.open().encode("the dog") == with(true, false));
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 2})");
  CHECK(folder.open().encode("the dog") == with(false, true));
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizerFast", "add_eos_token": true})");
  CHECK(folder.open().encode("the dog") == with(true, true));
  CHECK(folder.open().encode("the dog", false) == plain);
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": false})");
  CHECK(folder.open().encode("the dog") == plain);
}

TEST_CASE("text/sentencepiece: T5's sentinels count down behind the vocabulary") {
  const ModelFolder folder("spm_bpe");
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})");
  const Tokenizer tokenizer = folder.open();
  CHECK(tokenizer.size() == 800);
  CHECK(tokenizer.id("<extra_id_0>") == 799);
  CHECK(tokenizer.id("<extra_id_99>") == 700);
  const Ids ids = tokenizer.encode("the <extra_id_0> dog", false);
  CHECK(std::count(ids.begin(), ids.end(), 799) == 1);
  CHECK(tokenizer.decode(Ids{799}, true).empty());
  CHECK(tokenizer.decode(Ids{799}, false) == "<extra_id_0>");
}

TEST_CASE("text/sentencepiece: added tokens are found in the text, and the blank comes once or every time") {
  const ModelFolder folder("spm_bpe");
  const std::string added =
      R"("added_tokens_decoder": {"700": {"content": "<x>", "special": true}, "701": {"content": "why", "single_word": true, "rstrip": true, "lstrip": true}})";
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", )" + added + "}");
  const Tokenizer once = folder.open();
  const Ids the = once.encode("the", false);
  Ids expected = the;
  expected.push_back(700);
  CHECK(once.encode("the<x>", false) == expected);
  CHECK(once.decode(expected, false) == "the<x>");
  CHECK(once.decode(expected, true) == "the");
  CHECK(once.encode("why", false) == Ids{701});
  CHECK(once.encode("<x> why <x>", false) == Ids{700, 701, 700});
  CHECK(once.encode("whyx", false).front() != 701);
  CHECK(once.encode("<x>the", false).at(1) != the.front());
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "legacy": true, )" + added + "}");
  const Ids every = folder.open().encode("<x>the", false);
  CHECK(Ids(every.begin() + 1, every.end()) == the);
}

TEST_CASE("text/sentencepiece: what a configuration contradicts or asks in vain is refused") {
  const ModelFolder folder("spm_bpe");
  const auto refused = [&](const std::string& config) {
    folder.write("tokenizer_config.json", config);
    return error_text<weft::InputError>([&] { folder.open(); });
  };
  CHECK(says(refused(R"({"tokenizer_class": "XLMRobertaTokenizer"})"), "XLMRobertaTokenizer"));
  CHECK(says(refused(R"({"added_tokens_decoder": {"5": {"content": "<x>"}}})"), "in the vocabulary"));
  CHECK(says(refused(R"({"added_tokens_decoder": {"700": {"content": "<s>"}}})"), "in the vocabulary 1"));
  CHECK(says(refused(R"({"added_tokens_decoder": {"7x": {"content": "<x>"}}})"), "'7x' is not an id"));
  CHECK(says(refused(R"({"added_tokens_decoder": {"90000000000": {"content": "<x>"}}})"), "90000000000"));
  folder.write("tokenizer_config.json", "{}");
  folder.write("tokenizer.model", "not a model");
  CHECK(says(error_text<weft::FormatError>([&] { folder.open(); }), "not a SentencePiece model"));
  folder.write("tokenizer.model", "");
  CHECK(says(error_text<weft::InputError>([&] { folder.open(); }), "tokenizer.model"));
}

TEST_CASE("text/sentencepiece: blanks that are dropped at the start are dropped once when streaming") {
  const Tokenizer tokenizer = ModelFolder("spm_unigram").open();
  const std::string text = "\u0378\u00a0\u2581\ufffd\ufffdN\ufffd";
  const Ids ids = tokenizer.encode(text);
  weft::text::StreamDecoder stream(tokenizer);
  std::string out;
  for (const std::int64_t id : ids) out += stream.push(id);
  out += stream.finish();
  CHECK(out == tokenizer.decode(ids));
}
