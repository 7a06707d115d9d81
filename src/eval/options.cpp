#include "weft/eval/options.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "text/label_text.h"
#include "weft/eval/metric.h"

namespace weft::eval {

namespace {

constexpr double kEndless = 1e300;

std::string text_value(const Field& field, const Value& value) {
  if (!value.is_scalar())
    throw RecipeError(value.place, fmt::format("{} is {}, expected text", field.name, value.describe()));
  return value.scalar;
}

std::vector<std::string> text_values(const Field& field, const Value& value) {
  std::vector<std::string> out;
  if (value.is_scalar()) return {text_value(field, value)};
  if (!value.is_list())
    throw RecipeError(value.place, fmt::format("{} is {}, expected a list of texts", field.name, value.describe()));
  for (const Value& item : value.list) out.push_back(text_value(field, item));
  return out;
}

Field number_field(const char* name, Field::Type type, const char* fallback, double low, const char* doc) {
  Field out;
  out.name = name;
  out.type = type;
  out.fallback = fallback;
  out.low = low;
  out.high = kEndless;
  out.doc = doc;
  return out;
}

Field text_field(const char* name, const char* fallback, const char* doc) {
  Field out;
  out.name = name;
  out.type = Field::Type::kText;
  out.fallback = fallback;
  out.doc = doc;
  return out;
}

void set_metrics(EvalOptions& options, const Value& value, const Field& field) {
  options.metrics = text_values(field, value);
  for (const std::string& name : options.metrics) try {
      find_metric(name);
    } catch (const UsageError& error) {
      throw RecipeError(value.place, error.what());
    }
}

void set_label_template(EvalOptions& options, const Value& value, const Field& field) {
  options.label_template = text_value(field, value);
  try {
    text::check_label_template(options.label_template);
  } catch (const UsageError& error) {
    throw RecipeError(value.place, error.what());
  }
}

void set_stop(EvalOptions& options, const Value& value, const Field& field) {
  options.stop = text_values(field, value);
  for (const std::string& text : options.stop)
    if (text.empty()) throw RecipeError(value.place, "stop has an empty text, which would end everything at once");
}

void set_labels(EvalOptions& options, const Value& value, const Field& field) {
  options.labels = text_values(field, value);
  if (options.labels.size() < 2)
    throw RecipeError(value.place, fmt::format("labels has {} names, and nothing to choose from; expected two or more",
                                               options.labels.size()));
}

std::vector<Option> scoring_options() {
  Field temperature = number_field("temperature", Field::Type::kNumber, "0.05", 0.0,
                                   "label similarity: what the cosine of text and label is divided by");
  temperature.low_open = true;
  return {
      {text_field("metrics", "the kind's usual ones", "names of metrics"), true, set_metrics},
      {std::move(temperature), false,
       [](EvalOptions& o, const Value& v, const Field& f) { o.temperature = number_of(f, v); }},
      {text_field("label_template", "{label}", "label similarity: what is embedded for a label, '_' read as a space"),
       false, set_label_template},
      {text_field("labels", "the file's", "label similarity: the labels to choose from, in the order of indices"), true,
       set_labels},
      {number_field("max_tokens", Field::Type::kInteger, "0", 0,
                    "label similarity: longer texts are cut; 0: where the model's folder says"),
       false, [](EvalOptions& o, const Value& v, const Field& f) { o.max_tokens = integer_of(f, v); }},
  };
}

std::vector<Option> running_options() {
  Field append_end = text_field("append_end", "false", "completions of causal models: score the end token too");
  append_end.type = Field::Type::kBoolean;
  return {
      {number_field("max_new_tokens", Field::Type::kInteger, "0", 0,
                    "of a generated answer, at most; 0: a few more than the longest right one"),
       false, [](EvalOptions& o, const Value& v, const Field& f) { o.max_new_tokens = integer_of(f, v); }},
      {append_end, false, [](EvalOptions& o, const Value& v, const Field& f) { o.append_end = boolean_of(f, v); }},
      {text_field("stop", "a newline", "texts before which a generated answer ends"), true, set_stop},
      {number_field("seed", Field::Type::kInteger, "0", 0, "of the resamples"), false,
       [](EvalOptions& o, const Value& v, const Field& f) { o.seed = static_cast<std::uint64_t>(integer_of(f, v)); }},
      {number_field("batch_tokens", Field::Type::kInteger, "2048", 1, "tokens that run together at most"), false,
       [](EvalOptions& o, const Value& v, const Field& f) { o.batch_tokens = integer_of(f, v); }},
  };
}

}  // namespace

const std::vector<Option>& options() {
  static const std::vector<Option> all = [] {
    std::vector<Option> out = scoring_options();
    for (Option& option : running_options()) out.push_back(std::move(option));
    return out;
  }();
  return all;
}

void set_option(EvalOptions& to, std::string_view name, const Value& value, const Place& place) {
  std::vector<Field> fields;
  for (const Option& option : options()) fields.push_back(option.field);
  const Field& known = find_field(fields, name, place, "eval");
  for (const Option& option : options())
    if (option.field.name == known.name) option.set(to, value, option.field);
}

}  // namespace weft::eval
