#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "support/tokenizer_golden.h"

using weft::test::escaped;
using weft::text::Tokenizer;

namespace {

/// Every golden file of one kind: small tokenizers ("model") or real ones ("data").
std::vector<std::filesystem::path> golden_files(const std::string& kind) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(weft::test::tokenizer_goldens())) {
    if (entry.path().extension() != ".json" || entry.path().filename() == "corpus.json") continue;
    if (weft::io::read_json(entry.path()).find(kind) != nullptr) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string spelled(const std::vector<std::int64_t>& ids, const Tokenizer& tokenizer) {
  std::string out;
  for (size_t i = 0; i < std::min<size_t>(ids.size(), 60); ++i)
    out += std::to_string(ids[i]) + "=" + escaped(tokenizer.token(ids[i])) + " ";
  return out;
}

/// All strings by their hashes, a few by their ids.
void check_encoding(const Tokenizer& tokenizer, const weft::Value& golden, const std::filesystem::path& hashes) {
  const std::vector<std::string>& texts = weft::test::tokenizer_corpus();
  const std::string stored = weft::test::whole_file(hashes);
  REQUIRE(stored.size() == 4 * texts.size());
  const auto encoded = tokenizer.encode_all(texts, true, 2);
  const std::vector<std::int64_t> unstable = weft::test::ids_of(*golden.find("unstable"));
  size_t wrong = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    std::uint32_t expected = 0;
    std::memcpy(&expected, stored.data() + 4 * i, 4);
    if (weft::test::hash_of(encoded[i]) == expected) continue;
    if (std::find(unstable.begin(), unstable.end(), static_cast<std::int64_t>(i)) != unstable.end()) continue;
    if (++wrong <= 3)
      MESSAGE("string " << i << " '" << escaped(texts[i]) << "' became " << spelled(encoded[i], tokenizer));
  }
  CHECK_MESSAGE(wrong == 0, wrong << " strings differ");
  for (const weft::Value& row : golden.find("encode")->list) {
    const std::string& text = texts.at(static_cast<size_t>(row.find("index")->integer().value_or(0)));
    CAPTURE(escaped(text));
    CHECK(tokenizer.encode(text) == weft::test::ids_of(*row.find("ids")));
    CHECK(tokenizer.encode(text, false) == weft::test::ids_of(*row.find("plain")));
  }
}

void check_decoding(const Tokenizer& tokenizer, const weft::Value& golden) {
  for (const weft::Value& row : golden.find("decode")->list) {
    const std::vector<std::int64_t> ids = weft::test::ids_of(*row.find("ids"));
    CAPTURE(spelled(ids, tokenizer));
    CHECK(escaped(tokenizer.decode(ids, true)) == escaped(row.find("text")->scalar));
    if (!row.find("all")->is_null()) CHECK(escaped(tokenizer.decode(ids, false)) == escaped(row.find("all")->scalar));
  }
}

/// Given out piece by piece, a text is the one that comes out at once.
void check_streaming(const Tokenizer& tokenizer) {
  const std::vector<std::string>& texts = weft::test::tokenizer_corpus();
  for (size_t i = 0; i < texts.size(); i += 37) {
    const std::vector<std::int64_t> ids = tokenizer.encode(texts[i]);
    weft::text::StreamDecoder stream(tokenizer);
    std::string out;
    for (const std::int64_t id : ids) out += stream.push(id);
    out += stream.finish();
    CHECK_MESSAGE(out == tokenizer.decode(ids), escaped(texts[i]) << " streams as " << escaped(out));
  }
}

void check_golden(const std::filesystem::path& path) {
  const std::string name = path.stem().string();
  CAPTURE(name);
  const weft::Value golden = weft::io::read_json(path);
  const weft::test::TempDir dir;
  const std::optional<Tokenizer> tokenizer = weft::test::open_golden(golden, dir);
  if (!tokenizer) return;
  CHECK(tokenizer->size() == golden.find("size")->integer());
  check_encoding(*tokenizer, golden, std::filesystem::path(path).replace_extension(".hashes"));
  check_decoding(*tokenizer, golden);
  check_streaming(*tokenizer);
}

}  // namespace

TEST_CASE("text/golden: small tokenizers of every family give the library's ids and texts on 10,000 hard strings") {
  const auto files = golden_files("model");
  CHECK(files.size() == 17);
  for (const auto& path : files) check_golden(path);
}

TEST_CASE("text/golden: real tokenizers give the library's ids and texts on 10,000 hard strings") {
  const auto files = golden_files("data");
  CHECK(files.size() == 10);
  for (const auto& path : files) check_golden(path);
}
