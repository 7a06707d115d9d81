#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/text_targets.h"

namespace {

using TextTarget = void (*)(const std::uint8_t*, size_t);

std::vector<std::pair<std::string, std::string>> text_corpus(const std::string& name) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(WEFT_SOURCE_DIR) / "tests/fuzz/corpus" / name)) {
    std::ifstream file(entry.path(), std::ios::binary);
    files.emplace_back(entry.path().filename().string(),
                       std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()));
  }
  std::sort(files.begin(), files.end());
  return files;
}

void try_text_bytes(TextTarget target, const std::string& bytes) {
  target(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

/// Every file, cut short, and with seeded damage.
void replay_text(TextTarget target, const std::string& corpus, size_t at_least) {
  const auto files = text_corpus(corpus);
  CHECK(files.size() >= at_least);
  std::mt19937 random(7);
  for (const auto& [name, bytes] : files) {
    CAPTURE(name);
    CHECK_NOTHROW(try_text_bytes(target, bytes));
    for (size_t length = 0; length < std::min<size_t>(bytes.size(), 3000); length += 1 + length / 40)
      CHECK_NOTHROW(try_text_bytes(target, bytes.substr(0, length)));
    if (bytes.empty() || bytes.size() > 10000) continue;
    for (int round = 0; round < 60; ++round) {
      std::string damaged = bytes;
      for (int edit = 0; edit < 3; ++edit)
        damaged[random() % damaged.size()] = static_cast<char>(random() % 3 == 0 ? 0xFF : random());
      CHECK_NOTHROW(try_text_bytes(target, damaged));
    }
  }
}

}  // namespace

TEST_CASE("text/corpus: every tokenizer.json seed, whole and damaged, is used or refused") {
  replay_text(weft::fuzz::try_tokenizer, "tokenizer", 30);
}

TEST_CASE("text/corpus: every SentencePiece seed, whole and damaged, is used or refused") {
  replay_text(weft::fuzz::try_sentencepiece, "sentencepiece", 35);
}
