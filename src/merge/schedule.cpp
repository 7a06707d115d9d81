#include "merge/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace weft::merge {

namespace {

/// Position of a gradient: 0 at the first layer, 1 at the last; outside the stack 0, as in mergekit.
double gradient_position(const ModulePosition& at) {
  if (at.layer < 0) return 0.0;
  if (at.layers <= 1) return 1.0;
  return static_cast<double>(at.layer) / static_cast<double>(at.layers - 1);
}

/// Linear interpolation between evenly spaced anchors.
double interpolate(const std::vector<double>& anchors, double t) {
  const double x = t * static_cast<double>(anchors.size() - 1);
  const auto low = static_cast<size_t>(std::clamp(std::floor(x), 0.0, static_cast<double>(anchors.size() - 1)));
  if (low + 1 >= anchors.size()) return anchors.back();
  const double part = x - static_cast<double>(low);
  return anchors[low] + part * (anchors[low + 1] - anchors[low]);
}

bool filter_matches(const std::string& filter, const std::string& name) {
  return filter.empty() || filter == "*" || name.find(filter) != std::string::npos;
}

RankRule rank_scalar(const Field& field, const Value& v) {
  const auto wrong = [&]() -> RecipeError {
    return {v.place,
            fmt::format("rank is {}, expected exact, keep, a whole number from 1, or energy:x with x in (0, 1] ({})",
                        v.describe(), field.doc)};
  };
  const auto energy = [&](const Value& share) {
    const auto x = share.number();
    if (!x || *x <= 0 || *x > 1) throw wrong();
    return RankRule{RankRule::Kind::kEnergy, *x};
  };
  if (v.is_map()) {
    if (v.map.size() != 1 || v.map[0].first != "energy") throw wrong();
    return energy(v.map[0].second);
  }
  if (!v.is_scalar()) throw wrong();
  if (v.scalar == "exact") return {RankRule::Kind::kExact, 0};
  if (v.scalar == "keep") return {RankRule::Kind::kKeep, 0};
  if (v.scalar.starts_with("energy:")) return energy(Value::of(v.scalar.substr(7)));
  const auto n = v.integer();
  if (!n || *n < 1 || *n > 1'000'000'000) throw wrong();
  return {RankRule::Kind::kFixed, static_cast<double>(*n)};
}

double scalar_of(const Field& field, const Value& v, double*) { return number_of(field, v); }
RankRule scalar_of(const Field& field, const Value& v, RankRule*) { return rank_scalar(field, v); }

template <class T>
std::vector<T> anchors_of(const Field& field, const Value& v) {
  if (!v.is_list()) return {scalar_of(field, v, static_cast<T*>(nullptr))};
  if (v.list.empty())
    throw RecipeError(v.place, fmt::format("{} is an empty list, expected at least one number", field.name));
  std::vector<T> out;
  for (const Value& item : v.list) out.push_back(scalar_of(field, item, static_cast<T*>(nullptr)));
  if constexpr (std::is_same_v<T, RankRule>) {
    for (const RankRule& r : out)
      if (out.size() > 1 && r.kind != RankRule::Kind::kFixed)
        throw RecipeError(v.place, "a gradient of ranks takes whole numbers only");
  }
  return out;
}

template <class T>
typename Schedule<T>::Rule rule_of(const Field& field, const Value& v) {
  typename Schedule<T>::Rule rule;
  const Value* value = nullptr;
  for (size_t i = 0; i < v.map.size(); ++i) {
    const auto& [key, item] = v.map[i];
    if (key == "filter") {
      if (!item.is_scalar() && !item.is_null()) throw RecipeError(item.place, "filter must be text");
      rule.filter = item.is_null() ? "" : item.scalar;
    } else if (key == "value") {
      value = &item;
    } else {
      const Place at = i < v.key_places.size() ? v.key_places[i] : v.place;
      throw RecipeError(at,
                        fmt::format("unknown key '{}' in {}{}", key, field.name, suggestion(key, {"filter", "value"})));
    }
  }
  if (value == nullptr) throw RecipeError(v.place, fmt::format("{}: a mapping here needs the key 'value'", field.name));
  rule.anchors = anchors_of<T>(field, *value);
  return rule;
}

bool is_rule(const Value& v) { return v.is_map() && (v.find("value") != nullptr || v.find("filter") != nullptr); }

template <class T>
Schedule<T> parse_schedule(const Field& field, const Value& v) {
  Schedule<T> out;
  const bool rules = v.is_list() && std::any_of(v.list.begin(), v.list.end(), is_rule);
  if (rules) {
    for (const Value& item : v.list) {
      if (!item.is_map())
        throw RecipeError(
            item.place, fmt::format("{}: numbers and {{filter, value}} rules cannot be mixed in one list", field.name));
      out.rules.push_back(rule_of<T>(field, item));
    }
  } else if (is_rule(v)) {
    out.rules.push_back(rule_of<T>(field, v));
  } else {
    out.rules.push_back({"", anchors_of<T>(field, v)});
  }
  return out;
}

Value scalar_value(double x) { return Value::of(x); }
Value scalar_value(const RankRule& r) {
  switch (r.kind) {
    case RankRule::Kind::kExact: return Value::of(std::string("exact"));
    case RankRule::Kind::kKeep: return Value::of(std::string("keep"));
    case RankRule::Kind::kFixed: return Value::of_int(static_cast<long long>(r.number));
    case RankRule::Kind::kEnergy: {
      Value v = Value::make_map();
      v.set("energy", Value::of(r.number));
      return v;
    }
  }
  return {};
}

template <class T>
Value anchors_value(const std::vector<T>& anchors) {
  if (anchors.size() == 1) return scalar_value(anchors[0]);
  Value v = Value::make_list();
  for (const T& a : anchors) v.list.push_back(scalar_value(a));
  return v;
}

template <class T>
Value emit_schedule(const Schedule<T>& s) {
  if (s.rules.size() == 1 && s.rules[0].filter.empty()) return anchors_value(s.rules[0].anchors);
  Value v = Value::make_list();
  for (const auto& rule : s.rules) {
    Value item = Value::make_map();
    if (!rule.filter.empty()) item.set("filter", Value::text(rule.filter));
    item.set("value", anchors_value(rule.anchors));
    v.list.push_back(std::move(item));
  }
  return v;
}

}  // namespace

const double* first_match(const Schedule<double>& schedule, const ModulePosition& at, double& storage) {
  for (const auto& rule : schedule.rules)
    if (filter_matches(rule.filter, at.name)) return &(storage = interpolate(rule.anchors, gradient_position(at)));
  return nullptr;
}

const RankRule* first_match(const Schedule<RankRule>& schedule, const ModulePosition& at, RankRule& storage) {
  for (const auto& rule : schedule.rules) {
    if (!filter_matches(rule.filter, at.name)) continue;
    storage = rule.anchors.front();
    if (rule.anchors.size() > 1) {
      std::vector<double> numbers;
      for (const RankRule& r : rule.anchors) numbers.push_back(r.number);
      storage.number = std::max(1.0, std::round(interpolate(numbers, gradient_position(at))));
    }
    return &storage;
  }
  return nullptr;
}

Schedule<double> number_schedule(const Field& field, const Value& value) {
  return parse_schedule<double>(field, value);
}
Schedule<RankRule> rank_schedule(const Field& field, const Value& value) {
  return parse_schedule<RankRule>(field, value);
}
Value schedule_value(const Schedule<double>& schedule) { return emit_schedule(schedule); }
Value schedule_value(const Schedule<RankRule>& schedule) { return emit_schedule(schedule); }

}  // namespace weft::merge
