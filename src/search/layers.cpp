#include "layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace weft::search {

namespace {

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

LayerPlace layer_place(std::string_view module) {
  constexpr size_t kMostDigits = 9;
  for (size_t begin = 0; begin <= module.size();) {
    const size_t end = std::min(module.find('.', begin), module.size());
    const std::string_view part = module.substr(begin, end - begin);
    if (all_digits(part) && part.size() <= kMostDigits) {
      LayerPlace place;
      place.stack = module.substr(0, begin > 0 ? begin - 1 : 0);
      std::from_chars(part.data(), part.data() + part.size(), place.layer);
      return place;
    }
    begin = end + 1;
  }
  return {};
}

std::string module_kind(std::string_view module) {
  for (size_t end = module.size(); end > 0;) {
    const size_t dot = module.rfind('.', end - 1);
    const size_t begin = dot == std::string_view::npos ? 0 : dot + 1;
    const std::string_view part = module.substr(begin, end - begin);
    if (!part.empty() && !all_digits(part)) return std::string(part);
    if (begin == 0) break;
    end = begin - 1;
  }
  return std::string(module);
}

LayerBlocks::LayerBlocks(const std::vector<std::string>& modules, std::int64_t blocks) {
  for (const std::string& module : modules) {
    const LayerPlace place = layer_place(module);
    if (place.layer < 0) continue;
    const auto [it, fresh] = stacks_.try_emplace(place.stack, Range{place.layer, place.layer});
    it->second.first = std::min(it->second.first, place.layer);
    it->second.last = std::max(it->second.last, place.layer);
  }
  std::int64_t layers = 0;
  for (const auto& [name, range] : stacks_) {
    if (range.size() > layers) layers = range.size(), longest_ = name;
  }
  count_ = std::min(blocks, layers);
}

std::int64_t LayerBlocks::of(std::string_view module) const {
  const LayerPlace place = layer_place(module);
  if (place.layer < 0 || count_ == 0) return -1;
  auto found = stacks_.find(place.stack);
  if (found == stacks_.end()) found = stacks_.find(longest_);
  const Range& range = found->second;
  const std::int64_t layer = std::clamp(place.layer, range.first, range.last) - range.first;
  return layer * count_ / range.size();
}

std::vector<std::string> LayerBlocks::names() const {
  std::vector<std::string> names;
  const bool alike = std::all_of(stacks_.begin(), stacks_.end(), [&](const auto& stack) {
    const Range& first = stacks_.begin()->second;
    return stack.second.first == first.first && stack.second.last == first.last;
  });
  for (std::int64_t block = 0; block < count_; ++block) {
    if (!alike) {
      names.push_back(fmt::format("block {} of {}", block + 1, count_));
      continue;
    }
    const Range& range = stacks_.begin()->second;
    // The first layer of a block b of n layers in k blocks is the smallest l with l k / n >= b.
    const auto begin = [&](std::int64_t b) { return range.first + (b * range.size() + count_ - 1) / count_; };
    const std::int64_t first = begin(block), last = begin(block + 1) - 1;
    names.push_back(first == last ? fmt::format("layer {}", first) : fmt::format("layers {}-{}", first, last));
  }
  return names;
}

}  // namespace weft::search
