#include "weft/data/draw.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "weft/core/random.h"

namespace weft::data {

namespace {

/// Every example's lot depends on the seed and its number alone; the lowest win.
std::uint64_t draw_lot(const Philox& random, size_t index) {
  const auto words = random.block(index);
  return (std::uint64_t{words[0]} << 32) | words[1];
}

/// Which examples compete with each other.
std::vector<std::vector<size_t>> draw_groups(const Examples& from) {
  std::map<std::pair<std::string, std::int64_t>, std::vector<size_t>> groups;
  for (size_t i = 0; i < from.list.size(); ++i) {
    const Example& example = from.list[i];
    groups[from.kind == Kind::kLabel ? std::pair(example.label, example.label_index) : std::pair(std::string(), -1L)]
        .push_back(i);
  }
  std::vector<std::vector<size_t>> out;
  for (auto& [label, members] : groups) out.push_back(std::move(members));
  return out;
}

}  // namespace

Examples draw(const Examples& from, std::int64_t count, std::uint64_t seed) {
  if (count < 1) throw UsageError(fmt::format("cannot draw {} examples; expected at least 1", count));
  const Philox random(seed);
  std::vector<size_t> drawn;
  for (std::vector<size_t>& members : draw_groups(from)) {
    std::sort(members.begin(), members.end(), [&](size_t a, size_t b) {
      return std::pair(draw_lot(random, a), a) < std::pair(draw_lot(random, b), b);
    });
    members.resize(std::min(members.size(), static_cast<size_t>(count)));
    drawn.insert(drawn.end(), members.begin(), members.end());
  }
  std::sort(drawn.begin(), drawn.end());
  Examples out{.file = from.file, .kind = from.kind, .list = {}, .labels = from.labels};
  for (const size_t i : drawn) out.list.push_back(from.list[i]);
  return out;
}

}  // namespace weft::data
