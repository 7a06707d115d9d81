#include "weft/train/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>

#include "core/field_makers.h"
#include "text/label_text.h"

namespace weft::train {
namespace {

constexpr double kEndless = 1e300;
constexpr double kMostScale = 1e30;  // what is computed with it is float32
constexpr double kMostCount = 1e9;

Field above_zero(std::string name, std::string fallback, double high, std::string doc) {
  Field out = number_field(std::move(name), std::move(fallback), 0.0, high, std::move(doc));
  out.low_open = true;
  return out;
}

Field count_field(std::string name, std::string fallback, double low, std::string doc) {
  return weft::count_field(std::move(name), std::move(fallback), low, kMostCount, std::move(doc));
}

// Every `at` is a lambda without captures that gives the member; its type is all that has to be kept.

template <class At>
Option number_option(Field field, At) {
  return {std::move(field),
          [](TrainOptions& to, const Value& value, const Field& f) { At{}(to) = number_of(f, value); },
          [](const TrainOptions& from) {
            TrainOptions copy = from;
            return Value::of(static_cast<double>(At{}(copy)));
          }};
}

template <class At>
Option count_option(Field field, At) {
  return {std::move(field),
          [](TrainOptions& to, const Value& value, const Field& f) {
            auto& member = At{}(to);
            member = static_cast<std::remove_reference_t<decltype(member)>>(integer_of(f, value));
          },
          [](const TrainOptions& from) {
            TrainOptions copy = from;
            return Value::of_int(static_cast<long long>(At{}(copy)));
          }};
}

template <class At>
Option flag_option(Field field, At) {
  return {std::move(field),
          [](TrainOptions& to, const Value& value, const Field& f) { At{}(to) = boolean_of(f, value); },
          [](const TrainOptions& from) {
            TrainOptions copy = from;
            return Value::of(static_cast<bool>(At{}(copy)));
          }};
}

/// `kNames`: of the enum's values, in order.
template <class At>
Option choice_option(Field field, At) {
  return {std::move(field),
          [](TrainOptions& to, const Value& value, const Field& f) {
            auto& member = At{}(to);
            member = static_cast<std::remove_reference_t<decltype(member)>>(choice_of(f, value));
          },
          nullptr};
}

std::string text_of(const Field& field, const Value& value) {
  if (!value.is_scalar())
    throw RecipeError(value.place, fmt::format("{} is {}, expected text", field.name, value.describe()));
  return value.scalar;
}

/// A list, or texts between commas.
std::vector<std::string> texts_of(const Field& field, const Value& value) {
  std::vector<std::string> out;
  if (value.is_list()) {
    for (const Value& item : value.list) out.push_back(text_of(field, item));
    return out;
  }
  const std::string text = text_of(field, value);
  for (size_t begin = 0; begin <= text.size() && !text.empty();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

void set_targets(TrainOptions& to, const Value& value, const Field& field) {
  to.lora.targets = texts_of(field, value);
  for (const std::string& target : to.lora.targets)
    if (target.empty()) throw RecipeError(value.place, "targets has an empty name");
}

Value get_targets(const TrainOptions& from) {
  Value out = Value::make_list();
  for (const std::string& target : from.lora.targets) out.list.push_back(Value::text(target));
  return out;
}

void set_label_template(TrainOptions& to, const Value& value, const Field& field) {
  const std::string form = text_of(field, value);
  try {
    text::check_label_template(form);
  } catch (const UsageError& error) {
    throw RecipeError(value.place, error.what());
  }
  to.label_template = form;
}

/// A block index from text: `3`.
std::int64_t layer_of(const Field& field, const Value& value, const std::string& text) {
  const auto index = Value::of(text).integer();
  if (!index || *index < 0 || static_cast<double>(*index) > kMostCount)
    throw RecipeError(value.place, fmt::format("{}: '{}' is no index of a block, expected 0, 1, …", field.name, text));
  return *index;
}

void set_layers(TrainOptions& to, const Value& value, const Field& field) {
  to.lora.layers.clear();
  for (const std::string& text : texts_of(field, value)) to.lora.layers.push_back(layer_of(field, value, text));
}

Value get_layers(const TrainOptions& from) {
  Value out = Value::make_list();
  for (const std::int64_t layer : from.lora.layers) out.list.push_back(Value::of_int(layer));
  return out;
}

Option bias_option() {
  Option out = choice_option(
      choice_field("bias", {"none", "all", "lora_only"}, "none",
                   "biases of the base that are trained along: none, all, those of adapted "
                   "modules"),
      [](TrainOptions & o) -> auto& { return o.lora.bias; });
  out.get = [](const TrainOptions& from) {
    return Value::text(from.lora.bias == Bias::kNone ? "none" : from.lora.bias == Bias::kAll ? "all" : "lora_only");
  };
  return out;
}

Option schedule_option() {
  Option out = choice_option(
      choice_field("schedule", {"constant", "linear", "cosine"}, "cosine", "how the learning rate falls after warm-up"),
      [](TrainOptions & o) -> auto& { return o.schedule; });
  out.get = [](const TrainOptions& from) {
    return Value::text(from.schedule == Schedule::kConstant ? "constant"
                       : from.schedule == Schedule::kLinear ? "linear"
                                                            : "cosine");
  };
  return out;
}

std::vector<Option> lora_options() {
  std::vector<Option> out;
  out.push_back(flag_option(
      flag_field("all_weights", "false", "train the base's weights, not an adapter"),
      [](TrainOptions & o) -> auto& { return o.all_weights; }));
  out.push_back(flag_option(
      flag_field("from_scratch", "false", "with all_weights: begin with drawn weights"),
      [](TrainOptions & o) -> auto& { return o.from_scratch; }));
  out.push_back(count_option(
      count_field("rank", "8", 1, "rank of the adapter"), [](TrainOptions & o) -> auto& { return o.lora.rank; }));
  out.push_back(number_option(
      above_zero("alpha", "16", kMostScale, "the update is scaled by alpha / rank"),
      [](TrainOptions & o) -> auto& { return o.lora.alpha; }));
  out.push_back({text_field("targets", "",
                            "modules by name or ending (q_proj,v_proj), or all-linear; default: what "
                            "makes queries and values"),
                 set_targets, get_targets});
  out.push_back({text_field("layers", "", "indices of the blocks that are adapted (3,4,5); default: all"), set_layers,
                 get_layers});
  out.push_back(flag_option(
      flag_field("rslora", "false", "scale by alpha / sqrt(rank)"),
      [](TrainOptions & o) -> auto& { return o.lora.rslora; }));
  out.push_back(flag_option(
      flag_field("dora", "false", "train a magnitude per output too"),
      [](TrainOptions & o) -> auto& { return o.lora.dora; }));
  out.push_back(number_option(
      number_field("dropout", "0", 0.0, 0.99,
                   "share of the adapter's inputs dropped while "
                   "training"),
      [](TrainOptions & o) -> auto& { return o.lora.dropout; }));
  out.push_back(bias_option());
  return out;
}

void add_course_options(std::vector<Option>& out) {
  out.push_back(count_option(
      count_field("steps", "0", 0, "updates; 0: as many as epochs make"),
      [](TrainOptions & o) -> auto& { return o.steps; }));
  out.push_back(number_option(
      above_zero("epochs", "3", 1e6, "passes over the examples, unless steps says how long"),
      [](TrainOptions & o) -> auto& { return o.epochs; }));
  out.push_back(count_option(
      count_field("batch", "16", 1, "examples that run together"), [](TrainOptions & o) -> auto& { return o.batch; }));
  out.push_back(count_option(
      count_field("accumulate", "1", 1, "batches per update"), [](TrainOptions & o) -> auto& { return o.accumulate; }));
  out.push_back(number_option(
      above_zero("learning_rate", "0.001", 1e3, "highest rate of AdamW"),
      [](TrainOptions & o) -> auto& { return o.learning_rate; }));
  out.push_back(number_option(
      number_field("weight_decay", "0", 0.0, 1e3, "of AdamW, for everything that is trained"),
      [](TrainOptions & o) -> auto& { return o.weight_decay; }));
  out.push_back(number_option(
      number_field("beta1", "0.9", 0.0, 0.999999, "memory of the mean of gradients"),
      [](TrainOptions & o) -> auto& { return o.beta1; }));
  out.push_back(number_option(
      number_field("beta2", "0.999", 0.0, 0.9999999, "memory of their squares"),
      [](TrainOptions & o) -> auto& { return o.beta2; }));
  out.push_back(number_option(
      above_zero("epsilon", "1e-8", 1.0, "added to the root of the squares"),
      [](TrainOptions & o) -> auto& { return o.epsilon; }));
  out.push_back(number_option(
      number_field("clip", "1", 0.0, kEndless, "bound on the gradient's norm; 0: none"),
      [](TrainOptions & o) -> auto& { return o.clip; }));
  out.push_back(count_option(
      count_field("warmup", "0", 0, "updates over which the rate rises from 0"),
      [](TrainOptions & o) -> auto& { return o.warmup; }));
  out.push_back(schedule_option());
  out.push_back(number_option(
      number_field("hold", "0", 0.0, 1.0,
                   "share of the updates after warm-up before the rate "
                   "begins to fall"),
      [](TrainOptions & o) -> auto& { return o.hold; }));
  out.push_back(number_option(
      number_field("final_rate", "0", 0.0, 1.0,
                   "where the rate ends, as a share of "
                   "learning_rate"),
      [](TrainOptions & o) -> auto& { return o.final_rate; }));
  out.push_back(count_option(
      count_field("seed", "0", 0, "of first weights, order, dropout and drawn labels"),
      [](TrainOptions & o) -> auto& { return o.seed; }));
}

void add_example_options(std::vector<Option>& out) {
  out.push_back(flag_option(
      flag_field("append_end", "true", "end completions with the end token (causal models)"),
      [](TrainOptions & o) -> auto& { return o.append_end; }));
  out.push_back(count_option(
      count_field("max_tokens", "0", 0, "cut longer examples; 0: never, too long is refused"),
      [](TrainOptions & o) -> auto& { return o.max_tokens; }));
  out.push_back(number_option(
      above_zero("temperature", "0.05", 1e3, "label similarity: divides the cosine"),
      [](TrainOptions & o) -> auto& { return o.temperature; }));
  out.push_back({text_field("label_template", "{label}", "label similarity: what stands for a label"),
                 set_label_template, [](const TrainOptions& from) { return Value::text(from.label_template); }});
  out.push_back(count_option(
      count_field("most_labels", "12", 2,
                  "label similarity: so many labels are compared with "
                  "all texts"),
      [](TrainOptions & o) -> auto& { return o.most_labels; }));
  out.push_back(count_option(
      count_field("drawn_labels", "8", 0, "with more: those of the batch and so many drawn ones"),
      [](TrainOptions & o) -> auto& { return o.drawn_labels; }));
  out.push_back(count_option(
      count_field("eval_every", "0", 0, "updates between validations; 0: once per epoch"),
      [](TrainOptions & o) -> auto& { return o.eval_every; }));
  out.push_back(count_option(
      count_field("patience", "0", 0,
                  "stop after so many validations without a better loss; 0: "
                  "never"),
      [](TrainOptions & o) -> auto& { return o.patience; }));
  out.push_back(count_option(
      count_field("save_every", "50", 0, "updates between checkpoints; 0: none are kept"),
      [](TrainOptions & o) -> auto& { return o.save_every; }));
}

}  // namespace

const std::vector<Option>& options() {
  static const std::vector<Option> all = [] {
    std::vector<Option> out = lora_options();
    add_course_options(out);
    add_example_options(out);
    return out;
  }();
  return all;
}

void set_option(TrainOptions& to, std::string_view name, const Value& value, const Place& place) {
  std::vector<Field> fields;
  for (const Option& option : options()) {
    if (option.field.name == name) return option.set(to, value, option.field);
    fields.push_back(option.field);
  }
  find_field(fields, name, place, "train");
}

Value to_value(const TrainOptions& from) {
  Value out = Value::make_map();
  for (const Option& option : options()) out.set(option.field.name, option.get(from));
  return out;
}

void check_options(const TrainOptions& options) {
  TrainOptions again;  // every value in its range: a program may have set the members by itself
  const Value values = to_value(options);
  for (const auto& [name, value] : values.map) set_option(again, name, value, {});
  if (options.from_scratch && !options.all_weights)
    throw UsageError("from_scratch draws the base's own weights: it goes with all_weights only");
  if (options.all_weights && (!options.lora.targets.empty() || !options.lora.layers.empty() || options.lora.dora ||
                              options.lora.rslora || options.lora.dropout > 0 || options.lora.bias != Bias::kNone))
    throw UsageError("targets, layers, rslora, dora, dropout and bias are of adapters; all_weights trains none");
  if (options.schedule == Schedule::kConstant && (options.hold > 0 || options.final_rate > 0))
    throw UsageError("hold and final_rate shape a falling rate; a constant schedule does not fall");
  text::check_label_template(options.label_template);
  if (options.steps > 0 && options.warmup >= options.steps)
    throw UsageError(fmt::format("warmup of {} updates does not end within {} updates", options.warmup, options.steps));
}

}  // namespace weft::train
