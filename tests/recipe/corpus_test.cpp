#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz/recipe_target.h"

namespace {

std::vector<std::string> recipe_corpus() {
  std::vector<std::filesystem::path> paths;
  const std::filesystem::path root(WEFT_SOURCE_DIR);
  for (const auto& folder : {root / "tests/fuzz/corpus/recipe", root / "recipes"})
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.is_regular_file()) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> texts;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return texts;
}

void try_text(const std::string& text) {
  weft::fuzz::try_recipe(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

}  // namespace

TEST_CASE("recipe/corpus: every file of the fuzz corpus is read or refused") {
  const std::vector<std::string> texts = recipe_corpus();
  CHECK(texts.size() > 20);
  for (const std::string& text : texts) try_text(text);
}

TEST_CASE("recipe/corpus: damaged recipes are read or refused") {
  std::mt19937 random(7);
  const std::string marks = "[]{}:,-?&*!|>'\"#%@`\n \t<~\\x00";
  for (std::string text : recipe_corpus()) {
    text.resize(std::min<size_t>(text.size(), 2000));
    if (text.empty()) continue;
    for (int round = 0; round < 40; ++round) {
      std::string damaged = text;
      for (int edit = 0; edit < 4; ++edit) {
        const size_t at = random() % damaged.size();
        if (random() % 3 == 0) damaged.erase(at, 1 + random() % 5);
        if (damaged.empty()) damaged = " ";
        damaged.insert(random() % damaged.size(), 1, marks[random() % marks.size()]);
      }
      try_text(damaged);
    }
  }
}
