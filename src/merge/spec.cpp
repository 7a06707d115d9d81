#include "weft/merge/spec.h"

#include <fmt/format.h>

#include <string_view>

#include "merge/schedule.h"

namespace weft::merge {

namespace {

const Field& field_named(std::string_view name) { return find_field(fields(), name, {}, "a merge"); }

std::string text_of_full_tensors(const Value& v) {
  if (v.is_scalar() && (v.scalar == "refuse" || v.scalar == "mean" || v.scalar == "drop" ||
                        (v.scalar.starts_with("from:") && v.scalar.size() > 5)))
    return v.scalar;
  throw RecipeError(v.place, fmt::format("full_tensors is {}, expected refuse, from:NAME, mean or drop", v.describe()));
}

}  // namespace

void set_option(MergeSpec& spec, const std::string& key, const Value& value, const Place& key_place) {
  const Field& f = find_field(fields(), key, key_place.line > 0 || !key_place.file.empty() ? key_place : value.place,
                              "method " + spec.method);
  if (key == "weight")
    spec.weight = number_schedule(f, value);
  else if (key == "density")
    spec.density = number_schedule(f, value);
  else if (key == "lambda")
    spec.scale = number_schedule(f, value);
  else if (key == "rank")
    spec.rank = rank_schedule(f, value);
  else if (key == "space")
    spec.space = static_cast<Space>(choice_of(f, value));
  else if (key == "sparsify")
    spec.sparsify = static_cast<Sparsify>(choice_of(f, value));
  else if (key == "consensus")
    spec.consensus = static_cast<Consensus>(choice_of(f, value));
  else if (key == "combine")
    spec.combine = static_cast<Combine>(choice_of(f, value));
  else if (key == "normalize")
    spec.normalize = boolean_of(f, value);
  else if (key == "rescale")
    spec.rescale = boolean_of(f, value);
  else if (key == "missing")
    spec.missing = static_cast<Missing>(choice_of(f, value));
  else if (key == "vote")
    spec.vote = static_cast<Vote>(choice_of(f, value));
  else if (key == "divisor")
    spec.divisor = static_cast<Divisor>(choice_of(f, value));
  else if (key == "factor_weights")
    spec.factor_weights = static_cast<FactorWeights>(choice_of(f, value));
  else if (key == "seed")
    spec.seed = integer_of(f, value);
  else if (key == "full_tensors")
    spec.full_tensors = text_of_full_tensors(value);
}

void set_adapter_option(MergeSpec& spec, size_t index, const std::string& key, const Value& value,
                        const Place& key_place) {
  std::vector<Field> mine;
  for (const Field& f : fields())
    if (f.per_adapter) mine.push_back(f);
  const Field& f =
      find_field(mine, key, key_place.line > 0 || !key_place.file.empty() ? key_place : value.place, "one adapter");
  if (spec.adapters.size() <= index) spec.adapters.resize(index + 1);
  (key == "weight" ? spec.adapters[index].weight : spec.adapters[index].density) = number_schedule(f, value);
}

Value options_of(const MergeSpec& spec, bool all) {
  Value out = Value::make_map();
  const auto choice = [](std::string_view name, int index) {
    return Value::of(field_named(name).choices[static_cast<size_t>(index)]);
  };
  const auto list = [&](const MergeSpec& s) {
    Value v = Value::make_map();
    v.set("weight", schedule_value(s.weight));
    v.set("density", schedule_value(s.density));
    v.set("lambda", schedule_value(s.scale));
    v.set("rank", schedule_value(s.rank));
    v.set("space", choice("space", static_cast<int>(s.space)));
    v.set("sparsify", choice("sparsify", static_cast<int>(s.sparsify)));
    v.set("consensus", choice("consensus", static_cast<int>(s.consensus)));
    v.set("combine", choice("combine", static_cast<int>(s.combine)));
    v.set("normalize", Value::of(s.normalize));
    v.set("rescale", Value::of(s.rescale));
    v.set("missing", choice("missing", static_cast<int>(s.missing)));
    v.set("vote", choice("vote", static_cast<int>(s.vote)));
    v.set("divisor", choice("divisor", static_cast<int>(s.divisor)));
    v.set("factor_weights", choice("factor_weights", static_cast<int>(s.factor_weights)));
    v.set("seed", Value::of_int(s.seed));
    v.set("full_tensors", Value::of(s.full_tensors));
    return v;
  };
  const Value mine = list(spec), preset = list(find_method(spec.method).spec);
  for (size_t i = 0; i < mine.map.size(); ++i)
    if (all || !mine.map[i].second.same_as(preset.map[i].second)) out.set(mine.map[i].first, mine.map[i].second);
  return out;
}

Value adapter_options_of(const MergeSpec& spec, size_t index) {
  Value out = Value::make_map();
  if (index >= spec.adapters.size()) return out;
  const AdapterSpec& a = spec.adapters[index];
  if (!a.weight.rules.empty()) out.set("weight", schedule_value(a.weight));
  if (!a.density.rules.empty()) out.set("density", schedule_value(a.density));
  return out;
}

}  // namespace weft::merge
