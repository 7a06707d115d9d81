#include "recipe/value_builder.h"

#include <fmt/format.h>
#include <yaml-cpp/mark.h>

#include "recipe/yaml_checks.h"

namespace weft::recipe {

namespace {

constexpr std::string_view kCoreTag = "tag:yaml.org,2002:";

/// Text outside ordinary Values that a tag may ask for: `!!str 5` is text; `!!int 5` stays as spelled.
bool tag_asks_for_text(const std::string& tag) { return tag == "!" || tag == std::string(kCoreTag) + "str"; }

bool is_core_tag(const std::string& tag) {
  if (tag.empty() || tag == "?" || tag == "!") return true;
  if (!tag.starts_with(kCoreTag)) return false;
  const std::string_view kind = std::string_view(tag).substr(kCoreTag.size());
  return kind == "str" || kind == "int" || kind == "float" || kind == "bool" || kind == "null" || kind == "seq" ||
         kind == "map";
}

void check_tag(const std::string& tag, const Place& place) {
  if (!is_core_tag(tag)) throw RecipeError(place, fmt::format("tag '{}' has no meaning in a recipe; remove it", tag));
}

void measure(const Value& value, size_t& nodes, size_t& bytes) {
  ++nodes;
  bytes += value.scalar.size();
  for (const Value& item : value.list) measure(item, nodes, bytes);
  for (const auto& [key, item] : value.map) {
    bytes += key.size();
    measure(item, nodes, bytes);
  }
}

}  // namespace

Place ValueBuilder::place_of(const YAML::Mark& mark) const {
  if (mark.is_null()) return {file_, 0, 0};
  return {file_, mark.line + 1, mark.column + 1};
}

Value ValueBuilder::take() {
  if (bad_key_) throw RecipeError(*bad_key_);
  return std::move(root_);
}

void ValueBuilder::charge(size_t nodes, size_t bytes, const Place& place) {
  nodes_ += nodes;
  bytes_ += bytes;
  if (nodes_ > kMostNodes)
    throw RecipeError(place, fmt::format("more than {} values once aliases are expanded", kMostNodes));
  if (bytes_ > kMostBytes)
    throw RecipeError(place, fmt::format("more than {} MB of text once aliases are expanded", kMostBytes >> 20));
}

void ValueBuilder::OnDocumentStart(const YAML::Mark& mark) {
  if (++documents_ > 1) throw RecipeError(place_of(mark), "a second document begins; a recipe is one document");
}

void ValueBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  Value value;
  value.place = place_of(mark);
  charge(1, 0, value.place);
  add(std::move(value), anchor);
}

void ValueBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                            const std::string& text) {
  Value value = tag_asks_for_text(tag) ? Value::text(text) : Value::of(text);
  value.place = place_of(mark);
  check_tag(tag, value.place);
  charge(1, text.size(), value.place);
  add(std::move(value), anchor);
}

void ValueBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const auto found = anchors_.find(anchor);
  if (found == anchors_.end())
    throw RecipeError(place_of(mark), "this alias stands inside the value it names; a recipe cannot contain itself");
  charge(found->second.nodes, found->second.bytes, place_of(mark));
  add(found->second.value, 0);
}

void ValueBuilder::OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                                   YAML::EmitterStyle::value) {
  open(mark, tag, anchor, Value::Kind::kList);
}

void ValueBuilder::OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                              YAML::EmitterStyle::value) {
  open(mark, tag, anchor, Value::Kind::kMap);
}

void ValueBuilder::open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Value::Kind kind) {
  const Place place = place_of(mark);
  check_tag(tag, place);
  if (stack_.size() >= kDeepest) throw RecipeError(place, fmt::format("nested deeper than {} levels", kDeepest));
  charge(1, 0, place);
  Frame frame;
  frame.value.kind = kind;
  frame.value.place = place;
  frame.anchor = anchor;
  stack_.push_back(std::move(frame));
}

void ValueBuilder::close() {
  Frame frame = std::move(stack_.back());
  stack_.pop_back();
  apply_merges(frame);
  add(std::move(frame.value), frame.anchor);
}

void ValueBuilder::remember(YAML::anchor_t anchor, const Value& value) {
  Anchor kept;
  measure(value, kept.nodes, kept.bytes);
  charge(kept.nodes, kept.bytes, value.place);
  kept.value = value;
  anchors_[anchor] = std::move(kept);
}

void ValueBuilder::add(Value value, YAML::anchor_t anchor) {
  if (anchor != YAML::NullAnchor) remember(anchor, value);
  if (stack_.empty()) {
    root_ = std::move(value);
    return;
  }
  Frame& frame = stack_.back();
  if (frame.value.is_list()) {
    frame.value.list.push_back(std::move(value));
  } else if (!frame.has_key) {
    add_key(value);
  } else {
    add_entry(frame, std::move(value));
  }
}

void ValueBuilder::add_key(const Value& value) {
  Frame& frame = stack_.back();
  if ((!value.is_scalar() || value.number() || value.boolean()) && !bad_key_)
    bad_key_.emplace(value.place, fmt::format("a key is {}, expected text", value.describe()));
  frame.key = value.scalar;
  frame.key_place = value.place;
  frame.has_key = true;
  const bool is_merge = frame.key == "<<" && !value.quoted;
  if (!frame.keys.insert(frame.key).second && !bad_key_) {
    if (is_merge) throw RecipeError(value.place, "a second '<<'; write one with a list: '<<: [*a, *b]'");
    throw RecipeError(value.place, fmt::format("'{}' stands twice in one mapping", frame.key));
  }
}

void ValueBuilder::add_entry(Frame& frame, Value value) {
  frame.has_key = false;
  if (frame.key != "<<") {
    frame.value.map.emplace_back(std::move(frame.key), std::move(value));
    frame.value.key_places.push_back(frame.key_place);
    return;
  }
  if (value.is_map()) {
    frame.merges.emplace_back(std::move(value), frame.key_place);
    return;
  }
  if (!value.is_list())
    throw RecipeError(frame.key_place,
                      fmt::format("'<<' is {}, expected a mapping or a list of them", value.describe()));
  for (Value& item : value.list) {
    if (!item.is_map()) throw RecipeError(item.place, fmt::format("'<<' holds {}, expected mappings", item.describe()));
    frame.merges.emplace_back(std::move(item), frame.key_place);
  }
}

/// Keys of the mapping itself win over merged ones, earlier merged mappings over later ones.
void ValueBuilder::apply_merges(Frame& frame) {
  for (auto& [source, place] : frame.merges)
    for (size_t i = 0; i < source.map.size(); ++i) {
      if (!frame.keys.insert(source.map[i].first).second) continue;
      frame.value.map.push_back(std::move(source.map[i]));
      frame.value.key_places.push_back(source.key_places[i]);
    }
}

}  // namespace weft::recipe
