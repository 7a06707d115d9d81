// The keys of `search:` and the flags of `weft search`, one table.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "core/field_makers.h"
#include "flow/search_values.h"
#include "weft/eval/metric.h"
#include "weft/eval/options.h"
#include "weft/flow/search.h"

namespace weft::flow {

namespace {

constexpr double kMostEvaluations = 1e9;
constexpr double kWidestWeight = 1e6;

// Every `at` is a lambda without captures that gives the member; its type is all that has to be kept.

template <class At>
SearchOption number_search_option(Field field, At) {
  return {std::move(field), false,
          [](SearchOptions& to, const Value& value, const Field& f) { At{}(to) = number_of(f, value); },
          [](const SearchOptions& from) {
            SearchOptions copy = from;
            return Value::of(static_cast<double>(At{}(copy)));
          }};
}

template <class At>
SearchOption count_search_option(Field field, At) {
  return {std::move(field), false,
          [](SearchOptions& to, const Value& value, const Field& f) {
            auto& member = At{}(to);
            member = static_cast<std::remove_reference_t<decltype(member)>>(integer_of(f, value));
          },
          [](const SearchOptions& from) {
            SearchOptions copy = from;
            return Value::of_int(static_cast<long long>(At{}(copy)));
          }};
}

template <class At>
SearchOption path_search_option(Field field, At) {
  return {std::move(field), false,
          [](SearchOptions& to, const Value& value, const Field& f) { At{}(to) = search_text(f, value); },
          [](const SearchOptions& from) {
            SearchOptions copy = from;
            return Value::text(At{}(copy).string());
          }};
}

SearchOption choice_with_names(Field field, void (*set)(SearchOptions&, const Value&, const Field&),
                               Value (*get)(const SearchOptions&)) {
  return {std::move(field), false, set, get};
}

std::vector<SearchOption> method_options() {
  std::vector<SearchOption> out;
  out.push_back({text_field("method", "auto", "how weights are looked for, listed below"), false,
                 [](SearchOptions& to, const Value& value, const Field& f) {
                   to.method = search_text(f, value);
                   try {
                     search::find_method(to.method);
                   } catch (const UsageError& error) {
                     throw RecipeError(value.place, error.what());
                   }
                 },
                 [](const SearchOptions& from) { return Value::text(from.method); }});
  out.push_back(count_search_option(
      count_field("budget", "200", 1, kMostEvaluations,
                  "evaluations: passes over the examples; a gradient counts as three"),
      [](SearchOptions & o) -> auto& { return o.budget; }));
  out.push_back(count_search_option(
      count_field("seed", "0", 0, 9e15, "of everything drawn"), [](SearchOptions & o) -> auto& { return o.seed; }));
  out.push_back(choice_with_names(
      choice_field("rule", {"delta", "factors"}, "delta",
                   "delta: ΔW = Σ w ΔW; factors: A and B summed apart, as LoRAHub does (sign-blind, quadratic)"),
      [](SearchOptions& to, const Value& value, const Field& f) {
        to.rule = choice_of(f, value) == 0 ? nn::Rule::kDelta : nn::Rule::kFactors;
      },
      [](const SearchOptions& from) { return Value::text(from.rule == nn::Rule::kDelta ? "delta" : "factors"); }));
  out.push_back(count_search_option(
      count_field("population", "0", 0, 1e6, "points per generation; 0: the method's own"),
      [](SearchOptions & o) -> auto& { return o.optimizer.population; }));
  out.push_back(number_search_option(
      number_field("step", "0", 0.0, 1.0, "first step as a share of the box's width; 0: the method's own"),
      [](SearchOptions & o) -> auto& { return o.optimizer.step; }));
  out.push_back(number_search_option(
      number_field("learning_rate", "0", 0.0, 1e3, "of method gradient; 0: 0.1"),
      [](SearchOptions & o) -> auto& { return o.optimizer.learning_rate; }));
  return out;
}

void add_space_options(std::vector<SearchOption>& out) {
  out.push_back(choice_with_names(
      choice_field(
          "granularity", {"auto", "adapter", "layer_block", "kind", "block_kind"}, "auto",
          "weights per adapter, or also per block of layers, per kind of module, or per both; auto: both where "
          "method auto follows gradients, else adapters"),
      [](SearchOptions& to, const Value& value, const Field& f) {
        const int choice = choice_of(f, value);
        to.granularity.reset();
        if (choice > 0) to.granularity = static_cast<search::Granularity>(choice - 1);
      },
      [](const SearchOptions& from) {
        static constexpr const char* kNames[] = {"adapter", "layer_block", "kind", "block_kind"};
        return Value::text(from.granularity ? kNames[static_cast<int>(*from.granularity)] : "auto");
      }));
  out.push_back(count_search_option(
      count_field("layer_blocks", "3", 1, 1e4, "blocks of granularity layer_block and block_kind"),
      [](SearchOptions & o) -> auto& { return o.space.layer_blocks; }));
  out.push_back(number_search_option(
      number_field("lower", "-1.5", -kWidestWeight, kWidestWeight, "smallest weight"),
      [](SearchOptions & o) -> auto& { return o.space.lower; }));
  out.push_back(number_search_option(
      number_field("upper", "1.5", -kWidestWeight, kWidestWeight, "largest weight"),
      [](SearchOptions & o) -> auto& { return o.space.upper; }));
  out.push_back({text_field("start", "0", "first weights: a number, or {NAME: number}"), true,
                 [](SearchOptions& to, const Value& value, const Field& f) {
                   if (value.number()) {
                     to.space.start = *value.number();
                     to.space.starts.clear();
                   } else {
                     to.space.starts = named_numbers(f, value);
                     to.space.start = 0.0;
                   }
                 },
                 [](const SearchOptions& from) {
                   return from.space.starts.empty() ? Value::of(from.space.start) : to_value(from.space.starts);
                 }});
  out.push_back(
      {text_field("fixed", "", "weights that are not searched: {NAME: number}"), true,
       [](SearchOptions& to, const Value& value, const Field& f) { to.space.fixed = named_numbers(f, value); },
       [](const SearchOptions& from) { return to_value(from.space.fixed); }});
  out.push_back({text_field("tied", "", "adapters that share one weight: [[NAME, NAME], ...]"), true,
                 [](SearchOptions& to, const Value& value, const Field& f) { to.space.tied = name_groups(f, value); },
                 [](const SearchOptions& from) { return to_value(from.space.tied); }});
}

void add_score_options(std::vector<SearchOption>& out) {
  out.push_back({text_field("metric", "loss", "what is improved: loss, perplexity, accuracy, exact_match, ..."), false,
                 [](SearchOptions& to, const Value& value, const Field& f) {
                   to.objective.metric = search_text(f, value);
                   try {
                     eval::find_metric(to.objective.metric);
                   } catch (const UsageError& error) {
                     throw RecipeError(value.place, error.what());
                   }
                 },
                 [](const SearchOptions& from) { return Value::text(from.objective.metric); }});
  out.push_back(choice_with_names(
      choice_field("normalization", {"token", "example", "lorahub"}, "token",
                   "the loss is a mean over tokens, over examples, or LoRAHub's own"),
      [](SearchOptions& to, const Value& value, const Field& f) {
        to.objective.normalization = static_cast<eval::Normalization>(choice_of(f, value));
      },
      [](const SearchOptions& from) {
        static constexpr const char* kNames[] = {"token", "example", "lorahub"};
        return Value::text(kNames[static_cast<int>(from.objective.normalization)]);
      }));
  out.push_back(count_search_option(
      count_field("lorahub_batch", "0", 0, 1e9, "normalization lorahub: examples per batch; 0: all"),
      [](SearchOptions & o) -> auto& { return o.objective.lorahub_batch; }));
  out.push_back({flag_field("append_end", "true", "the end token after a completion counts too (causal models)"), false,
                 [](SearchOptions& to, const Value& value, const Field& f) { to.append_end = boolean_of(f, value); },
                 [](const SearchOptions& from) { return Value::of(from.append_end); }});
  out.push_back(number_search_option(
      number_field("l1", "0", 0.0, 1e9, "adds l1 · mean |w| to the score; LoRAHub has 0.05"),
      [](SearchOptions & o) -> auto& { return o.l1; }));
  out.push_back(number_search_option(
      number_field("l2", "0", 0.0, 1e9, "adds l2 · mean w²"), [](SearchOptions & o) -> auto& { return o.l2; }));
  out.push_back(number_search_option(
      number_field("uniform", "0", 0.0, 1e9, "adds uniform · mean (w - mean w)²: the distance from a uniform merge"),
      [](SearchOptions & o) -> auto& { return o.uniform; }));
  out.push_back(
      {number_field("prior", "auto", 0.0, 1e9, "width of a normal prior on weights, fading as examples grow; 0: none"),
       false,
       [](SearchOptions& to, const Value& value, const Field& f) {
         if (value.is_scalar() && value.scalar == "auto")
           to.prior.reset();
         else
           to.prior = number_of(f, value);
       },
       [](const SearchOptions& from) { return from.prior ? Value::of(*from.prior) : Value::text("auto"); }});
}

void add_course_options(std::vector<SearchOption>& out) {
  out.push_back(count_search_option(
      count_field("shots", "0", 0, 1e9, "examples drawn from the file, of labelled texts per label; 0: all"),
      [](SearchOptions & o) -> auto& { return o.shots; }));
  out.push_back(number_search_option(
      number_field("validation", "0", 0.0, 0.9, "share of the examples held out to choose among candidates by"),
      [](SearchOptions & o) -> auto& { return o.validation; }));
  out.push_back(path_search_option(
      text_field("held_out", "", "held-out examples in a file of their own"),
      [](SearchOptions & o) -> auto& { return o.held_out; }));
  out.push_back(count_search_option(
      count_field("patience", "0", 0, kMostEvaluations,
                  "stop after so many evaluations without a better held-out score; 0: never"),
      [](SearchOptions & o) -> auto& { return o.patience; }));
  out.push_back(count_search_option(
      count_field("preselect", "0", 0, 1e6, "adapters to keep before the search; 0: 64 of a larger pool, else all"),
      [](SearchOptions & o) -> auto& { return o.preselect; }));
  out.push_back(choice_with_names(
      choice_field("preselect_by", {"gradient", "alone", "similarity", "random"}, "gradient",
                   "one backward pass, the loss of each alone, sample texts like the examples', or drawn"),
      [](SearchOptions& to, const Value& value, const Field& f) {
        to.preselect_by = static_cast<Preselect>(choice_of(f, value));
      },
      [](const SearchOptions& from) {
        static constexpr const char* kNames[] = {"gradient", "alone", "similarity", "random"};
        return Value::text(kNames[static_cast<int>(from.preselect_by)]);
      }));
  out.push_back(path_search_option(
      text_field("samples", "", "preselect_by similarity: a folder with NAME.jsonl, sample texts of each adapter"),
      [](SearchOptions & o) -> auto& { return o.samples; }));
  out.push_back(path_search_option(
      text_field("encoder", "", "preselect_by similarity: the sentence encoder; default: the base, if it is one"),
      [](SearchOptions & o) -> auto& { return o.encoder; }));
  out.push_back(number_search_option(
      number_field("race", "0", 0.0, 0.9,
                   "share of the examples after which hopeless candidates are dropped; 0: never, which is exact"),
      [](SearchOptions & o) -> auto& { return o.race; }));
  out.push_back({flag_field("fallback", "false",
                            "write the base, the best single adapter or the uniform merge where that scores better"),
                 false,
                 [](SearchOptions& to, const Value& value, const Field& f) { to.fallback = boolean_of(f, value); },
                 [](const SearchOptions& from) { return Value::of(from.fallback); }});
  out.push_back(count_search_option(
      count_field("jobs", "1", 1, 1024, "chunks of candidates evaluated at once"),
      [](SearchOptions & o) -> auto& { return o.jobs; }));
  out.push_back(count_search_option(
      count_field("population_tokens", "4096", 1, 1e12, "tokens of candidates and examples that run together at most"),
      [](SearchOptions & o) -> auto& { return o.objective.population_tokens; }));
}

}  // namespace

const std::vector<SearchOption>& search_options() {
  static const std::vector<SearchOption> all = [] {
    std::vector<SearchOption> out = method_options();
    add_space_options(out);
    add_score_options(out);
    add_course_options(out);
    return out;
  }();
  return all;
}

bool is_scoring_option(std::string_view name) { return name != "metrics" && name != "seed" && name != "append_end"; }

void set_search_option(SearchOptions& to, std::string_view name, const Value& value, const Place& place) {
  std::vector<Field> fields;
  for (const SearchOption& option : search_options()) {
    if (option.field.name == name) return option.set(to, value, option.field);
    fields.push_back(option.field);
  }
  for (const eval::Option& option : eval::options()) {
    if (!is_scoring_option(option.field.name)) continue;
    if (option.field.name == name) return option.set(to.objective.eval, value, option.field);
    fields.push_back(option.field);
  }
  find_field(fields, name, place, "search");
}

void set_lorahub(SearchOptions& options) {
  options.method = "lorahub";
  options.budget = 40;
  options.rule = nn::Rule::kFactors;
  options.granularity = search::Granularity::kAdapter;
  options.space.lower = -1.5, options.space.upper = 1.5, options.space.start = 0.0;
  options.objective.metric = "loss";
  options.objective.normalization = eval::Normalization::kLoraHub;
  options.objective.lorahub_batch = 0;
  options.l1 = 0.05, options.l2 = 0.0, options.uniform = 0.0;
  options.prior = 0.0;
}

}  // namespace weft::flow
