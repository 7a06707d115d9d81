#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/io_targets.h"

namespace {

using IoTarget = void (*)(const std::uint8_t*, size_t);

std::vector<std::pair<std::string, std::string>> io_corpus(const std::string& name) {
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

void try_bytes(IoTarget target, const std::string& bytes) {
  target(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

/// The file itself, every truncation of a small one, and seeded damage.
void replay(IoTarget target, const std::string& corpus, size_t at_least) {
  const auto files = io_corpus(corpus);
  CHECK(files.size() >= at_least);
  std::mt19937 random(7);
  for (const auto& [name, bytes] : files) {
    CAPTURE(name);
    CHECK_NOTHROW(try_bytes(target, bytes));
    for (size_t length = 0; length < std::min<size_t>(bytes.size(), 300); ++length)
      CHECK_NOTHROW(try_bytes(target, bytes.substr(0, length)));
    if (bytes.empty()) continue;
    for (int round = 0; round < 100; ++round) {
      std::string damaged = bytes;
      for (int edit = 0; edit < 3; ++edit)
        damaged[random() % damaged.size()] = static_cast<char>(random() % 3 == 0 ? 0xFF : random());
      CHECK_NOTHROW(try_bytes(target, damaged));
    }
  }
}

}  // namespace

TEST_CASE("io/corpus: every safetensors seed, whole and damaged, is read or refused") {
  replay(weft::fuzz::try_safetensors, "safetensors", 40);
}

TEST_CASE("io/corpus: every pickle seed, whole and damaged, is read or refused") {
  replay(weft::fuzz::try_pickle, "pickle", 90);
}

TEST_CASE("io/corpus: every JSON seed, whole and damaged, is read or refused") {
  replay(weft::fuzz::try_json, "json", 30);
}
