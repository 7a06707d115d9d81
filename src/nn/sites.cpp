#include "nn/sites.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "io/checkpoint.h"
#include "weft/core/value.h"

namespace weft::nn {

Sites::Sites(Network& network) {
  const auto add = [this](Site site) {
    const auto index = static_cast<std::int64_t>(sites_.size());
    by_core_.emplace(io::without_model_prefixes(site.name), index);
    by_name_.emplace(site.name, index);
    sites_.push_back(std::move(site));
  };
  network.visit(
      [&](LinearGroup& group) {
        for (size_t part = 0; part < group.parts.size(); ++part)
          add({group.parts[part].name, &group, part, nullptr, nullptr});
      },
      [&](Embedding& embedding) {
        add({embedding.name, nullptr, 0, &embedding, nullptr});
      },
      [&](Norm& norm) {
        add({norm.name, nullptr, 0, nullptr, &norm});
      });
  // The head of GPT-NeoX is `embed_out` in files; transformers 5 calls it as every head, and adapters follow that.
  for (size_t i = 0; i < sites_.size(); ++i)
    if (sites_[i].group == &network.head && sites_[i].name != "lm_head")
      by_core_.emplace("lm_head", static_cast<std::int64_t>(i));
}

std::int64_t Sites::find(std::string_view name, std::string& why) const {
  if (const auto at = by_name_.find(name); at != by_name_.end()) return at->second;
  const auto [first, last] = by_core_.equal_range(std::string(io::without_model_prefixes(name)));
  if (first != last && std::next(first) == last) return first->second;
  if (first != last) {
    why = fmt::format("'{}' may be '{}' or '{}' of the model", name, sites_[static_cast<size_t>(first->second)].name,
                      sites_[static_cast<size_t>(std::next(first)->second)].name);
    return -1;
  }
  std::vector<std::string> names;
  for (const Site& site : sites_) names.push_back(site.name);
  const std::string near = nearest(name, names);
  why = fmt::format("the model has no module '{}', with or without the usual prefixes{}", name,
                    near.empty() ? "" : fmt::format("; the nearest is '{}'", near));
  return -1;
}

}  // namespace weft::nn
