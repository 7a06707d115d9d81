#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/model_target.h"

namespace {

std::vector<std::pair<std::string, std::string>> config_corpus() {
  namespace fs = std::filesystem;
  const fs::path tests = fs::path(WEFT_SOURCE_DIR) / "tests";
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(tests / "fuzz/corpus/config")) paths.push_back(entry.path());
  for (const auto& entry : fs::directory_iterator(tests / "golden/models"))
    if (entry.is_directory()) paths.push_back(entry.path() / "config.json");
  std::sort(paths.begin(), paths.end());
  std::vector<std::pair<std::string, std::string>> out;
  for (const fs::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    out.emplace_back(path.lexically_relative(tests).string(),
                     std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()));
  }
  return out;
}

void try_text(const std::string& text) {
  weft::fuzz::try_config(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

/// Values that a hostile config puts where a number, a flag or a name belongs.
const std::vector<std::string> kHostile = {"0",
                                           "-1",
                                           "1",
                                           "3",
                                           "2147483647",
                                           "2147483648",
                                           "9223372036854775807",
                                           "1e308",
                                           "1e-308",
                                           "0.5",
                                           "null",
                                           "true",
                                           "\"\"",
                                           "\"gelu\"",
                                           "[]",
                                           "[0]",
                                           "{}",
                                           "{\"rope_type\":\"yarn\"}"};

}  // namespace

TEST_CASE("model/corpus: every config of the fuzz corpus and the golden models is read or refused") {
  const auto configs = config_corpus();
  CHECK(configs.size() > 60);
  for (const auto& [name, text] : configs) {
    CAPTURE(name);
    CHECK_NOTHROW(try_text(text));
  }
}

TEST_CASE("model/corpus: configs with hostile values are read or refused") {
  std::mt19937 random(7);
  for (const auto& [name, text] : config_corpus()) {
    CAPTURE(name);
    std::vector<size_t> colons;
    for (size_t at = text.find(": "); at != std::string::npos; at = text.find(": ", at + 1)) colons.push_back(at + 2);
    if (colons.empty()) continue;
    for (int round = 0; round < 40; ++round) {
      std::string damaged = text;
      const size_t begin = colons[random() % colons.size()];
      const size_t end = std::min(damaged.find_first_of(",\n}", begin), damaged.size());
      damaged.replace(begin, end - begin, kHostile[random() % kHostile.size()]);
      CAPTURE(damaged);
      CHECK_NOTHROW(try_text(damaged));
    }
  }
}
