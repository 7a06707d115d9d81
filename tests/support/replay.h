#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace weft::test {

/// How much damage a replay does to one seed.
struct Replay {
  size_t shortened = 300;     ///< seeds are cut at every length below this …
  size_t skip = 0;            ///< … or, where above 0, at steps of 1 + length / skip
  size_t damaged = SIZE_MAX;  ///< larger seeds are only cut
  int rounds = 100;
};

/// Feeds a fuzz target every file of its corpus: whole, cut short, and with seeded damage. It must only refuse.
inline void replay_corpus(void (*target)(const std::uint8_t*, size_t), const std::string& corpus, size_t at_least,
                          const Replay& how = {}) {
  namespace fs = std::filesystem;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(fs::path(WEFT_SOURCE_DIR) / "tests/fuzz/corpus" / corpus))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  CHECK(paths.size() >= at_least);
  const auto feed = [target](const std::string& bytes) {
    target(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  };
  std::mt19937 random(7);
  for (const fs::path& path : paths) {
    INFO(path.filename().string());
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    CHECK_NOTHROW(feed(bytes));
    for (size_t n = 0; n<std::min(bytes.size(), how.shortened); n += how.skip> 0 ? 1 + n / how.skip : 1)
      CHECK_NOTHROW(feed(bytes.substr(0, n)));
    if (bytes.empty() || bytes.size() > how.damaged) continue;
    for (int round = 0; round < how.rounds; ++round) {
      std::string damaged = bytes;
      for (int edit = 0; edit < 3; ++edit)
        damaged[random() % damaged.size()] = static_cast<char>(random() % 3 == 0 ? 0xFF : random());
      CHECK_NOTHROW(feed(damaged));
    }
  }
}

}  // namespace weft::test
