#include "text/component_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "text/token_table.h"
#include "text/unicode.h"
#include "weft/core/error.h"

namespace weft::text {

ComponentFields::ComponentFields(const Value& json, std::string where, const std::string& file)
    : json_(json), where_(std::move(where)), file_(file) {
  if (!json.is_map()) bad("expected an object");
  type_ = text("type");
}

void ComponentFields::bad(const std::string& what) const {
  const std::string name = type_.empty() ? where_ : fmt::format("{} {}", where_, type_);
  throw FormatError(json_.place.file.empty() ? file_ : json_.place.text(), fmt::format("{}: {}", name, what));
}

void ComponentFields::unsupported(const std::string& what) const {
  throw UnsupportedError(fmt::format("{}: {} {}: {} is not supported", file_, where_, type_, what));
}

void ComponentFields::unknown() const {
  throw UnsupportedError(fmt::format("{}: the {} '{}' is not supported", file_, where_, type_));
}

void ComponentFields::only(std::initializer_list<std::string_view> names) const {
  for (const auto& entry : json_.map)
    if (entry.first != "type" && std::find(names.begin(), names.end(), entry.first) == names.end())
      unsupported(fmt::format("the option '{}'", entry.first));
}

const Value* ComponentFields::find(std::string_view name) const {
  const Value* const value = json_.find(name);
  return value != nullptr && value->is_null() ? nullptr : value;
}

const Value& ComponentFields::get(std::string_view name) const {
  const Value* const value = find(name);
  if (value == nullptr) bad(fmt::format("'{}' is missing", name));
  return *value;
}

bool ComponentFields::boolean(std::string_view name) const {
  const std::optional<bool> flag = get(name).boolean();
  if (!flag) bad(fmt::format("'{}' must be true or false, got {}", name, get(name).describe()));
  return *flag;
}

bool ComponentFields::boolean(std::string_view name, bool fallback) const {
  return find(name) == nullptr ? fallback : boolean(name);
}

std::string ComponentFields::text(std::string_view name) const {
  const Value& value = get(name);
  if (!value.is_scalar() || !value.quoted) bad(fmt::format("'{}' must be a string, got {}", name, value.describe()));
  return value.scalar;
}

std::string ComponentFields::character(std::string_view name) const {
  std::string value = text(name);
  size_t at = 0;
  if (!value.empty()) next_code(value, at);
  if (value.empty() || at != value.size()) bad(fmt::format("'{}' must be one character, got '{}'", name, value));
  return value;
}

std::int64_t ComponentFields::count(std::string_view name) const {
  const std::optional<long long> value = get(name).integer();
  if (!value || *value < 0) bad(fmt::format("'{}' must be a count, got {}", name, get(name).describe()));
  return *value;
}

SearchFor ComponentFields::search(std::string_view name) const {
  const Value& value = get(name);
  if (!value.is_map() || value.map.size() != 1) bad(fmt::format("'{}' must be a String or a Regex", name));
  const auto& [kind, what] = value.map[0];
  if (kind != "String" && kind != "Regex") unsupported(fmt::format("a '{}' of kind '{}'", name, kind));
  if (!what.is_scalar() || !what.quoted) bad(fmt::format("'{}' must be a string", name));
  return {what.scalar, kind == "Regex"};
}

Behavior ComponentFields::behavior(std::string_view name) const {
  static constexpr std::pair<std::string_view, Behavior> kNames[] = {
      {"Removed", Behavior::kRemoved},
      {"Isolated", Behavior::kIsolated},
      {"MergedWithPrevious", Behavior::kMergedWithPrevious},
      {"MergedWithNext", Behavior::kMergedWithNext},
      {"Contiguous", Behavior::kContiguous}};
  const std::string value = text(name);
  for (const auto& [known, behavior] : kNames)
    if (known == value) return behavior;
  unsupported(fmt::format("the {} '{}'", name, value));
}

Prepend ComponentFields::prepend_scheme() const {
  const bool never = !boolean("add_prefix_space", true);
  if (find("prepend_scheme") == nullptr) return never ? Prepend::kNever : Prepend::kAlways;
  const std::string scheme = text("prepend_scheme");
  if (scheme != "always" && scheme != "first" && scheme != "never")
    unsupported(fmt::format("the prepend_scheme '{}'", scheme));
  if (never && scheme != "never") bad("add_prefix_space false does not fit prepend_scheme");
  return scheme == "always" ? Prepend::kAlways : scheme == "first" ? Prepend::kFirst : Prepend::kNever;
}

std::int64_t ComponentFields::token_id(std::string_view name) const {
  const Value& pair = get(name);
  if (!pair.is_list() || pair.list.size() != 2) bad(fmt::format("'{}' must be a token and its id", name));
  const std::optional<long long> id = pair.list[1].integer();
  if (!id || *id < 0 || *id > kMaxTokenId) bad(fmt::format("'{}' has no usable id", name));
  return *id;
}

}  // namespace weft::text
