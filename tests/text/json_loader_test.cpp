#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/error_text.h"
#include "text/json_loader.h"

using weft::FormatError;
using weft::UnsupportedError;
using weft::test::error_text;
using weft::test::says;
using weft::text::parse_tokenizer_json;

namespace {

using Ids = std::vector<std::int64_t>;

const std::string kBpe =
    R"({"type": "BPE", "unk_token": "?", "vocab": {"?": 0, "a": 1, "b": 2, "ab": 3, " ": 4, "c": 5, "abc": 6},)"
    R"( "merges": ["a b", ["ab", "c"]]})";

/// A tokenizer.json of a model and further fields (with a comma behind each).
std::string json_of(const std::string& model, const std::string& fields = "") {
  return R"({"version": "1.0", "truncation": {"x": 1}, "padding": null, )" + fields + R"("model": )" + model + "}";
}

Ids ids_from(const std::string& json, const std::string& text) {
  const auto data = parse_tokenizer_json(json, "t.json");
  Ids ids = data.before;
  data.engine->encode(text, ids);
  ids.insert(ids.end(), data.after.begin(), data.after.end());
  return ids;
}

template <class E>
std::string refusal(const std::string& json) {
  return error_text<E>([&] { parse_tokenizer_json(json, "t.json"); });
}

std::string added(const std::string& content, const std::string& flags = "") {
  return R"({"id": 0, "content": ")" + content + "\"" + flags + "}";
}

}  // namespace

TEST_CASE("text/json_loader: BPE merges by rank, in both spellings") {
  CHECK(ids_from(json_of(kBpe), "abcab b") == Ids{6, 3, 4, 2});
  CHECK(ids_from(json_of(kBpe), "axb") == Ids{1, 0, 2});
  CHECK(parse_tokenizer_json(json_of(kBpe), "t.json").unk == 0);
  // Merges may come before the vocabulary, and old files do not say the type.
  CHECK(ids_from(json_of(R"({"merges": ["a b"], "vocab": {"a": 0, "b": 1, "ab": 2}})"), "aab") == Ids{0, 2});
  CHECK(ids_from(json_of(R"({"unk_token": "u", "vocab": {"u": 0, "ab": 1}})"), "ab") == Ids{1});
}

TEST_CASE("text/json_loader: long words merge as short ones do") {
  std::string text;
  Ids expected;
  for (int i = 0; i < 500; ++i) {
    text += i % 3 == 0 ? "abc" : i % 3 == 1 ? "abab" : "cb";
    for (const std::int64_t id : i % 3 == 0 ? Ids{6} : i % 3 == 1 ? Ids{3, 3} : Ids{5, 2}) expected.push_back(id);
  }
  // "abab" + "cb" joins to ab abc b.
  for (size_t i = 0; i + 1 < expected.size(); ++i)
    if (expected[i] == 3 && expected[i + 1] == 5)
      expected[i] = 6, expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  CHECK(ids_from(json_of(kBpe), text) == expected);
}

TEST_CASE("text/json_loader: unknown characters fuse, or fall back to bytes") {
  const std::string tail = R"(, "vocab": {"?": 0, "a": 1, "<0xC3>": 2, "<0xA9>": 3}, "merges": []})";
  CHECK(ids_from(json_of(R"({"type": "BPE", "unk_token": "?")" + tail), "axxa") == Ids{1, 0, 0, 1});
  CHECK(ids_from(json_of(R"({"type": "BPE", "unk_token": "?", "fuse_unk": true)" + tail), "axxa") == Ids{1, 0, 1});
  CHECK(ids_from(json_of(R"({"type": "BPE", "unk_token": "?", "byte_fallback": true)" + tail), "\u00e9x") ==
        Ids{2, 3, 0});
  CHECK(ids_from(json_of(R"({"type": "BPE")" + tail), "xax") == Ids{1});
  CHECK(says(error_text([&] { ids_from(json_of(R"({"type": "BPE", "unk_token": "no")" + tail), "x"); }),
             "the unknown token 'no' is not in the vocabulary"));
}

TEST_CASE("text/json_loader: added tokens: leftmost longest, their flags, and the library's ids") {
  const std::string list = added("cc") + "," + added("ab", R"(, "single_word": true)") + "," +
                           added("<x>", R"(, "lstrip": true, "rstrip": true, "special": true)") + "," + added("ccc");
  const std::string json = json_of(kBpe, "\"added_tokens\": [" + list + "],");
  CHECK(ids_from(json, "acca") == Ids{1, 7, 1});
  CHECK(ids_from(json, "acccca") == Ids{1, 9, 5, 1});
  CHECK(ids_from(json, "ab abc") == Ids{3, 4, 6});
  CHECK(ids_from(json, "a  <x>  b<x>") == Ids{1, 8, 2, 8});
  const auto data = parse_tokenizer_json(json, "t.json");
  CHECK(data.engine->size() == 10);
  CHECK(data.engine->is_special(8));
  CHECK(!data.engine->is_special(7));
  CHECK(data.engine->decode(Ids{1, 8, 7}, true) == "a cc");
  CHECK(data.engine->decode(Ids{1, 8, 7, 99, -1}, false) == "a <x> cc");
}

TEST_CASE("text/json_loader: normalised added tokens are found in normalised text") {
  const std::string fields = R"("normalizer": {"type": "Lowercase"}, "added_tokens": [)" +
                             added("ABC", R"(, "normalized": true)") + "," + added("CC") + "],";
  CHECK(ids_from(json_of(kBpe, fields), "aBcccCC") == Ids{7, 5, 5, 8});
}

TEST_CASE("text/json_loader: start and end tokens") {
  const std::string special = R"("special_tokens": {"B": {"id": "B", "ids": [1, 2], "tokens": ["a", "b"]}})";
  const std::string single =
      R"("single": [{"SpecialToken": {"id": "B", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}])";
  const auto post = [](const std::string& processor) { return "\"post_processor\": " + processor + ","; };
  const std::string parts = R"({"type": "TemplateProcessing", )" + single + ", \"pair\": [], " + special + "}";
  CHECK(ids_from(json_of(kBpe, post(parts)), "c") == Ids{1, 2, 5});
  CHECK(ids_from(json_of(kBpe, post(R"({"type": "Sequence", "processors": [{"type": "ByteLevel"}, )" + parts + "]}")),
                 "c") == Ids{1, 2, 5});
  CHECK(ids_from(json_of(kBpe,
                         post(R"({"type": "RobertaProcessing", "sep": ["b", 2], "cls": ["a", 1], "trim_offsets": true,)"
                              R"( "add_prefix_space": true})")),
                 "c") == Ids{1, 5, 2});
  CHECK(says(refusal<UnsupportedError>(
                 json_of(kBpe, post(R"({"type": "Sequence", "processors": [)" + parts + "," + parts + "]}"))),
             "a second post-processor that adds tokens"));
}

TEST_CASE("text/json_loader: what is not known is refused by name") {
  const auto with = [](const std::string& fields) { return refusal<UnsupportedError>(json_of(kBpe, fields)); };
  CHECK(says(with(R"("normalizer": {"type": "Magic"},)"), "t.json: the normalizer 'Magic' is not supported"));
  CHECK(
      says(with(R"("normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC", "x": 1}]},)"), "the option 'x'"));
  CHECK(says(with(R"("pre_tokenizer": {"type": "UnicodeScripts"},)"), "the pre_tokenizer 'UnicodeScripts'"));
  CHECK(says(with(R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(?x)a"}, "behavior": "Isolated",)"
                  R"( "invert": false},)"),
             "not supported"));
  CHECK(says(with(R"("decoder": {"type": "CTC"},)"), "the decoder 'CTC'"));
  CHECK(says(with(R"("post_processor": {"type": "Magic"},)"), "the post_processor 'Magic'"));
  CHECK(says(with(R"("magic": 1,)"), "the field 'magic'"));
  CHECK(says(refusal<UnsupportedError>(json_of(R"({"type": "Magic", "vocab": {}})")), "the model 'Magic'"));
  CHECK(says(refusal<UnsupportedError>(json_of(R"({"type": "BPE", "dropout": 0.1, "vocab": {}, "merges": []})")),
             "dropout"));
  CHECK(
      says(refusal<UnsupportedError>(json_of(R"({"type": "BPE", "magic": 0, "vocab": {}, "merges": []})")), "'magic'"));
  CHECK(says(refusal<UnsupportedError>(R"({"version": "2.0"})"), "version"));
}

TEST_CASE("text/json_loader: damaged files are refused") {
  const auto model = [](const std::string& text) { return refusal<FormatError>(json_of(text)); };
  CHECK(says(model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]})"), "the vocabulary lacks 'b'"));
  CHECK(says(model(R"({"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]})"), "the vocabulary lacks 'ab'"));
  CHECK(says(model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a a a"]})"), "not two tokens"));
  CHECK(says(model(R"({"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []})"), "is there twice"));
  CHECK(says(model(R"({"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []})"), "is there twice"));
  CHECK(says(model(R"({"type": "BPE", "vocab": {"a": 2147483647}, "merges": []})"), "out of range"));
  CHECK(says(model(R"({"type": "BPE", "vocab": {"a": -1}, "merges": []})"), "out of range"));
  CHECK(says(model(R"({"type": "BPE", "vocab": {"a": 0}})"), "no 'merges'"));
  CHECK(says(model(R"({"type": "BPE", "vocab": [["a", 0]], "merges": []})"), "the form of another type"));
  CHECK(says(model(R"({"type": "WordLevel", "vocab": {"a": 0}})"), "'unk_token' is missing"));
  CHECK(says(model(R"({"type": "BPE", "vocab": [["a"]], "merges": []})"), "without its score"));
  CHECK(says(refusal<FormatError>("{}"), "there is no 'model'"));
  CHECK(says(refusal<FormatError>("[]"), "expected an object"));
  const auto with = [](const std::string& fields) { return refusal<FormatError>(json_of(kBpe, fields)); };
  CHECK(says(with(R"("normalizer": {"type": "Strip", "strip_left": 1, "strip_right": true},)"),
             "normalizer Strip: 'strip_left' must be true or false"));
  CHECK(says(with(R"("pre_tokenizer": {"type": "Metaspace", "replacement": "__"},)"), "must be one character"));
  CHECK(says(with(R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Removed",)"
                  R"( "invert": false},)"),
             "cannot be used"));
  CHECK(says(with(R"("post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "X"}}],)"
                  R"( "pair": [], "special_tokens": {}},)"),
             "special_tokens lacks 'X'"));
  CHECK(says(with(R"("added_tokens": [{"id": 1}],)"), "without 'content'"));
  std::string deep = "null";
  for (int i = 0; i < 300; ++i) deep = R"({"type": "Sequence", "normalizers": [)" + deep + "]}";
  CHECK(says(with("\"normalizer\": " + deep + ","), "nested deeper"));
}
