#include "adapter/target_choice.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>

namespace weft::adapter {
namespace {

/// `layers` and 3 of `model.layers.3.mlp`: the first component that is a number, and the one before it.
struct LayerPlace {
  std::string pattern;
  std::int64_t index = 0;
};

std::optional<LayerPlace> layer_place(std::string_view name) {
  std::string_view before;
  while (true) {
    const size_t dot = name.find('.');
    if (dot == std::string_view::npos) return {};  // a number at the very end is no layer
    const std::string_view part = name.substr(0, dot);
    std::int64_t index = 0;
    const auto [end, wrong] = std::from_chars(part.data(), part.data() + part.size(), index);
    if (!before.empty() && wrong == std::errc() && end == part.data() + part.size() && index >= 0)
      return LayerPlace{std::string(before), index};
    before = part;
    name.remove_prefix(dot + 1);
  }
}

bool ends_in(std::string_view name, std::string_view tail) {
  return name.ends_with(tail) && (name.size() == tail.size() || name[name.size() - tail.size() - 1] == '.');
}

bool has_number(std::string_view text) {
  for (size_t at = 0; at <= text.size();) {
    const size_t dot = std::min(text.find('.', at), text.size());
    const std::string_view part = text.substr(at, dot - at);
    if (!part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos) return true;
    at = dot + 1;
  }
  return false;
}

/// The shortest ending of `name`, without a layer's number, that no other module has; empty: there is none.
std::string shortest_ending(const std::string& name, const std::vector<std::string>& others) {
  for (size_t dot = name.rfind('.');; dot = name.rfind('.', dot - 1)) {
    const std::string tail = dot == std::string::npos ? name : name.substr(dot + 1);
    if (has_number(tail)) return {};
    if (std::none_of(others.begin(), others.end(), [&](const std::string& other) { return ends_in(other, tail); }))
      return tail;
    if (dot == std::string::npos || dot == 0) return {};
  }
}

/// Endings that cover `trained` and none of `others`; empty: there are none.
std::vector<std::string> common_endings(const std::vector<std::string>& trained,
                                        const std::vector<std::string>& others) {
  std::set<std::string> endings;
  for (const std::string& name : trained) {
    if (std::any_of(endings.begin(), endings.end(), [&](const std::string& tail) { return ends_in(name, tail); }))
      continue;
    const std::string tail = shortest_ending(name, others);
    if (tail.empty()) return {};
    endings.insert(tail);
  }
  return {endings.begin(), endings.end()};
}

}  // namespace

TargetChoice choose_targets(const std::vector<std::string>& trained, const std::vector<std::string>& all) {
  const std::set<std::string> wanted(trained.begin(), trained.end());
  std::vector<std::string> others;
  for (const std::string& name : all)
    if (!wanted.contains(name)) others.push_back(name);
  TargetChoice out;
  out.modules = common_endings(trained, others);
  if (!out.modules.empty()) return out;
  std::set<std::int64_t> layers;
  std::set<std::string> patterns;
  bool layered = true;
  for (const std::string& name : trained) {
    const auto place = layer_place(name);
    layered = layered && place.has_value();
    if (place) layers.insert(place->index), patterns.insert(place->pattern);
  }
  if (layered) {
    std::vector<std::string> beside;  // others in the same layers
    for (const std::string& name : others) {
      const auto place = layer_place(name);
      if (place && layers.contains(place->index) && patterns.contains(place->pattern)) beside.push_back(name);
    }
    out.modules = common_endings(trained, beside);
    // A module whose whole name is a target is adapted whatever its layer.
    const bool clash = std::any_of(others.begin(), others.end(), [&](const std::string& name) {
      return std::find(out.modules.begin(), out.modules.end(), name) != out.modules.end();
    });
    if (!out.modules.empty() && !clash) {
      out.layers.assign(layers.begin(), layers.end());
      out.layers_pattern.assign(patterns.begin(), patterns.end());
      return out;
    }
  }
  out.modules.assign(wanted.begin(), wanted.end());
  return out;
}

}  // namespace weft::adapter
