#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/error_text.h"
#include "text/models/byte_trie.h"
#include "text/models/unigram.h"
#include "text/models/wordpiece.h"

using weft::test::error_text;
using weft::test::says;

namespace {

using Ids = std::vector<std::int64_t>;

Ids encoded(const weft::text::Model& model, const std::string& piece) {
  Ids ids;
  model.encode(piece, ids);
  return ids;
}

std::unique_ptr<const weft::text::Model> letters(bool bytes) {
  std::vector<std::pair<std::string, double>> vocab = {{"<unk>", 0.0}, {"a", 0.0},  {"b", 0.0},  {"c", 0.0},
                                                       {"d", 0.0},     {"cd", 1.0}, {"ab", 2.0}, {"abc", 5.0}};
  if (bytes)
    for (const char* byte : {"<0xC3>", "<0xA9>"}) vocab.emplace_back(byte, 0.0);
  return weft::text::make_unigram(vocab, 0, bytes, "t.json");
}

std::unique_ptr<const weft::text::Model> words(std::int64_t longest) {
  weft::text::TokenTable vocab;
  std::int64_t id = 0;
  for (const char* token : {"[UNK]", "ba", "##na", "##n", "banan", "\u00E9", "##\u00E9"}) vocab.add(token, id++);
  return weft::text::make_wordpiece(std::move(vocab), "[UNK]", "##", longest, "t.json");
}

}  // namespace

TEST_CASE("text/models: a byte tree finds texts, their beginnings and nothing else") {
  weft::text::ByteTrie trie;
  for (std::int32_t i = 0; i < 3000; ++i) REQUIRE(trie.add("key" + std::to_string(i * 7), i));
  for (std::int32_t i = 0; i < 3000; ++i) REQUIRE(trie.find("key" + std::to_string(i * 7)) == i);
  CHECK(trie.find("key1") == -1);
  CHECK(trie.find("key") == -1);
  CHECK(trie.find("kez") == -1);
  CHECK(trie.find("") == -1);
  CHECK(trie.walk(0, "ke") != weft::text::ByteTrie::kNone);
  REQUIRE(trie.add("key0", 77));
  CHECK(trie.find("key0") == 77);
}

TEST_CASE("text/models: Unigram takes the best path and fuses what is unknown") {
  const auto model = letters(false);
  CHECK(encoded(*model, "abcd") == Ids{7, 4});
  CHECK(encoded(*model, "abcdacdxx") == Ids{7, 4, 1, 5, 0});
  CHECK(encoded(*model, "x\u00E9ax") == Ids{0, 1, 0});
  CHECK(encoded(*model, "<unk>a") == Ids{0, 1});
  CHECK(encoded(*model, "").empty());
  CHECK(model->token(6) == "ab");
  CHECK(model->id("cd") == 5);
  CHECK(!model->id("zz"));
  CHECK(!model->token(8));
}

TEST_CASE("text/models: Unigram's unknown characters become bytes where all bytes are there") {
  const auto model = letters(true);
  CHECK(encoded(*model, "a\u00E9") == Ids{1, 8, 9});
  CHECK(encoded(*model, "a\u00E8") == Ids{1, 0});
  CHECK(encoded(*model, "\u00E9\u00E8") == Ids{0});  // fused before its bytes are looked up
}

TEST_CASE("text/models: Unigram vocabularies that cannot be used") {
  using weft::text::make_unigram;
  CHECK(says(error_text<weft::FormatError>([] { make_unigram({}, std::nullopt, false, "t.json"); }), "empty"));
  CHECK(says(error_text<weft::FormatError>([] { make_unigram({{"a", 0.0}}, 1, false, "t.json"); }), "unk_id is 1"));
  CHECK(says(error_text<weft::FormatError>([] { make_unigram({{"a", 0.0 / 0.0}}, 0, false, "t.json"); }), "token 0"));
  const auto none = make_unigram({{"a", 0.0}}, std::nullopt, false, "t.json");
  CHECK(encoded(*none, "aa") == Ids{0, 0});
  CHECK(says(error_text<weft::InputError>([&] { encoded(*none, "ab"); }), "no unknown token"));
}

TEST_CASE("text/models: WordPiece takes the longest token each time") {
  const auto model = words(100);
  CHECK(encoded(*model, "banana") == Ids{0});  // banan leaves ##a, which is not there
  CHECK(encoded(*model, "bana") == Ids{1, 2});
  CHECK(encoded(*model, "banan") == Ids{4});
  CHECK(encoded(*model, "ban\u00E9") == Ids{1, 3, 6});
  CHECK(encoded(*model, "na") == Ids{0});
  CHECK(encoded(*words(4), "banan") == Ids{0});
  CHECK(encoded(*words(2), "\u00E9\u00E9") == Ids{5, 6});
  CHECK(encoded(*words(1), "\u00E9\u00E9") == Ids{0});
}
