#include <doctest/doctest.h>

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

/// A folder with a tiny byte-level vocabulary, or a BERT one.
class LegacyFolder {
 public:
  void write(const std::string& name, const std::string& content) const {
    std::ofstream(dir_ / name, std::ios::binary) << content;
  }
  void byte_level() const {
    write(
        "vocab.json",
        R"({"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġa": 4, "#": 5, "##": 6, "<|endoftext|>": 7, "1": 8, "11": 9, "e": 10, "Ì": 11, "ģ": 12, "Ã": 13, "©": 14})");
    write("merges.txt", "#version: 0.2\r\na b\nĠ a\n# #\n1 1\n");
  }
  void bert() const { write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##b\nA\n\xC3\xA9\ne\n"); }
  Tokenizer open() const { return Tokenizer::open(dir_.path()); }

 private:
  weft::test::TempDir dir_;
};

}  // namespace

TEST_CASE("text/legacy: vocab.json and merges.txt alone are GPT-2") {
  const LegacyFolder folder;
  folder.byte_level();
  const Tokenizer tokenizer = folder.open();
  CHECK(tokenizer.encode("ab a") == Ids{3, 4});
  CHECK(tokenizer.encode("##11") == Ids{6, 9});
  CHECK(tokenizer.encode("a<|endoftext|>") == Ids{0, 7});
  CHECK(tokenizer.is_special(7));
  CHECK(tokenizer.eos() == 7);
  CHECK(tokenizer.decode(Ids{3, 4, 7}) == "ab a");
}

TEST_CASE("text/legacy: the classes of byte-level tokenizers") {
  const LegacyFolder folder;
  folder.byte_level();
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer"})");
  CHECK(folder.open().encode("ab11") == Ids{3, 8, 8});
  CHECK(folder.open().encode("e\u0301") == Ids{13, 14});
  folder.write(
      "tokenizer_config.json",
      R"({"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": true, "add_bos_token": true, "bos_token": "</s>", "pad_token": "<pad>"})");
  const Tokenizer opt = folder.open();
  CHECK(opt.encode("a") == Ids{15, 4});
  CHECK(opt.pad() == 16);
  CHECK(opt.encode("a", false) == Ids{4});
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "RobertaTokenizer"})");
  const Tokenizer roberta = folder.open();
  CHECK(roberta.encode("a<mask>") == Ids{15, 0, 19, 16});
  folder.write("tokenizer_config.json", "{}");
  folder.write("config.json", R"({"model_type": "qwen3"})");
  CHECK(folder.open().encode("11") == Ids{8, 8});
}

TEST_CASE("text/legacy: vocab.txt is BERT") {
  const LegacyFolder folder;
  folder.bert();
  const Tokenizer lower = folder.open();
  CHECK(lower.encode("AB \u00C9 q") == Ids{2, 5, 7, 10, 1, 3});
  CHECK(lower.encode("a[MASK]", false) == Ids{5, 4});
  CHECK(lower.decode(Ids{2, 5, 7, 10, 3}) == "ab e");
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer", "do_lower_case": false})");
  CHECK(folder.open().encode("A\u00C9 \u00E9", false) == Ids{1, 9});
}

TEST_CASE("text/legacy: what is not known or does not fit is refused") {
  const LegacyFolder folder;
  folder.byte_level();
  const auto refused = [&] { return error_text<weft::InputError>([&] { folder.open(); }); };
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "CLIPTokenizer"})");
  CHECK(says(refused(), "CLIPTokenizer"));
  CHECK(says(refused(), "GPT2Tokenizer"));
  folder.write("tokenizer_config.json", "{}");
  folder.write("merges.txt", "a b\na zz\n");
  CHECK(says(refused(), "merges.txt:2"));
  folder.write("merges.txt", "a b\nab\n");
  CHECK(says(refused(), "merges.txt:2: expected two tokens"));
  folder.write("merges.txt", "a b\n");
  folder.write("vocab.json", R"({"a": 0, "b": 0})");
  CHECK(says(refused(), "'b' with id 0"));
  folder.write("vocab.json", R"({"a": 0, "b": 99999999999})");
  CHECK(says(refused(), "'b' with id 99999999999"));
  folder.write("vocab.json", "{}");
  CHECK(says(refused(), "empty"));
  const LegacyFolder bert;
  bert.write("vocab.txt", "a\nb\na\n");
  CHECK(says(error_text<weft::FormatError>([&] { bert.open(); }), "vocab.txt:3: 'a' is there twice"));
}
