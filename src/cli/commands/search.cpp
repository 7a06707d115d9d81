#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/searching.h"
#include "cli/session.h"
#include "cli/sources.h"
#include "cli/table.h"
#include "flow/search_values.h"
#include "weft/eval/options.h"
#include "weft/search/optimizer.h"

namespace weft::cli {

namespace {

/// An option as typed: its name in a recipe and its value with the flag for a place.
struct TypedSetting {
  std::string name;
  Value value;
};

struct SearchFlags : SearchingFlags {
  std::string recipe, base, pool, data, base_dtype, device;
  std::vector<std::string> adapters;
  data::Template form;
  std::vector<TypedSetting> settings;
  bool lorahub = false;
};

std::string search_flag(const std::string& option) {
  std::string out = option;
  std::replace(out.begin(), out.end(), '_', '-');
  return "--" + out;
}

Value placed_text(const std::string& text, const Place& place) {
  Value out = Value::text(text);
  out.place = place;
  return out;
}

/// Texts between commas: a list.
Value texts_between_commas(const std::string& text, const Place& place) {
  Value out = Value::make_list();
  out.place = place;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    out.list.push_back(placed_text(text.substr(begin, end - begin), place));
    begin = end + 1;
  }
  return out;
}

/// How the value of an option is spelt on the command line.
enum class Spelling {
  kText,      ///< never a number
  kPlain,     ///< as in a recipe: numbers, choices, `a=1,b=2`
  kTexts,     ///< texts between commas
  kRepeated,  ///< a text each time it is given
};

std::string value_name(const Field& field, Spelling spelling) {
  switch (spelling) {
    case Spelling::kTexts: return "A,B,...";
    case Spelling::kRepeated: return "TEXT";
    case Spelling::kText:
      if (field.name == "method" || field.name == "metric") return "NAME";
      if (field.name == "held_out") return "FILE";
      return field.name == "samples" || field.name == "encoder" ? "DIR" : "TEXT";
    case Spelling::kPlain: break;
  }
  if (field.name == "tied") return "A+B,...";
  if (field.name == "start") return "X|A=X,...";
  switch (field.type) {
    case Field::Type::kInteger: return "N";
    case Field::Type::kNumber: return "X";
    case Field::Type::kChoice: return "NAME";
    default: return "A=X,...";
  }
}

void add_setting_flag(CLI::App& command, SearchFlags& flags, const Field& field, Spelling spelling) {
  const std::string flag = search_flag(field.name);
  const Place place{flag, 0, 0};
  std::string doc = field.doc;
  if (field.type == Field::Type::kChoice) doc += " (" + field.range() + ")";
  if (!field.fallback.empty()) doc += "; default: " + field.fallback;
  const auto keep = [&flags, name = field.name](Value value) { flags.settings.push_back({name, std::move(value)}); };
  const auto keep_plain = [keep, place](const std::string& text) {
    Value value = Value::of(text);
    value.place = place;
    keep(std::move(value));
  };
  if (field.type == Field::Type::kBoolean) {
    command.add_flag_function(
        flag + ",!--no-" + flag.substr(2),
        [keep_plain](std::int64_t count) { keep_plain(count > 0 ? "true" : "false"); }, doc);
    return;
  }
  if (spelling == Spelling::kRepeated) {
    const auto keep_all = [keep, place](const std::vector<std::string>& texts) {
      Value list = Value::make_list();
      list.place = place;
      for (const std::string& text : texts) list.list.push_back(placed_text(text, place));
      keep(std::move(list));
    };
    command.add_option_function<std::vector<std::string>>(flag, keep_all, doc + "; may be repeated")
        ->expected(1)
        ->take_all()
        ->allow_extra_args(false)
        ->type_name("TEXT");
    return;
  }
  const auto keep_one = [keep, keep_plain, spelling, place](const std::string& text) {
    if (spelling == Spelling::kPlain) return keep_plain(text);
    keep(spelling == Spelling::kText ? placed_text(text, place) : texts_between_commas(text, place));
  };
  command.add_option_function<std::string>(flag, keep_one, doc)->type_name(value_name(field, spelling));
}

/// A flag for every option of a search, and for those of an evaluation that say how an example is scored.
void add_setting_flags(CLI::App& command, SearchFlags& flags) {
  for (const flow::SearchOption& option : flow::search_options()) {
    const bool text = option.field.type == Field::Type::kText && !option.list;
    add_setting_flag(command, flags, option.field, text ? Spelling::kText : Spelling::kPlain);
  }
  for (const eval::Option& option : eval::options()) {
    if (!flow::is_scoring_option(option.field.name)) continue;
    const Spelling spelling = option.field.name == "stop"               ? Spelling::kRepeated
                              : option.list                             ? Spelling::kTexts
                              : option.field.type == Field::Type::kText ? Spelling::kText
                                                                        : Spelling::kPlain;
    add_setting_flag(command, flags, option.field, spelling);
  }
}

flow::SearchJob search_job(const SearchFlags& flags) {
  flow::SearchJob job = flags.recipe.empty() ? flow::SearchJob{} : flow::load_search_recipe(flags.recipe);
  if (!flags.base.empty()) job.runtime.base = flags.base;
  if (!flags.pool.empty() || !flags.adapters.empty()) job.runtime.adapters.clear();
  if (!flags.pool.empty()) job.runtime.adapters = flow::pool_folder(flags.pool);
  for (const std::string& text : flags.adapters) job.runtime.adapters.push_back(source_of(text));
  if (!flags.data.empty()) job.data = flags.data;
  if (!flags.form.prompt.empty()) job.reading.form.prompt = flags.form.prompt;
  if (!flags.form.completion.empty()) job.reading.form.completion = flags.form.completion;
  if (!flags.form.text.empty()) job.reading.form.text = flags.form.text;
  if (!flags.base_dtype.empty()) job.runtime.dtype = flags.base_dtype;
  if (!flags.device.empty()) job.runtime.device = flags.device;
  if (flags.lorahub) flow::set_lorahub(job.options);
  for (const TypedSetting& setting : flags.settings)
    flow::set_search_option(job.options, setting.name, setting.value, setting.value.place);
  return job;
}

std::string search_methods_help() {
  Table table({"METHOD", "what it does", "from"});
  for (const search::Method& method : search::methods()) table.add({method.name, method.doc, method.source});
  return table.text(2);
}

constexpr const char* kSearchHelp =
    "\nThe result is one adapter. Every evaluation is kept in OUT.journal until it is written: the same command goes "
    "on\n"
    "from there, to the same bytes. Under a launcher (torchrun --no-python, srun, mpirun) the ranks share the work.\n"
    "Base, best single adapter and uniform merge are scored too, beyond the budget; with --fallback the best of all "
    "is\n"
    "written. A few examples are soon overfitted: hold some out (--validation, --held-out) where there are enough.\n\n"
    "Recipe: base_model, adapters or pool, examples: {data, prompt, completion, text}, method: search or lorahub,\n"
    "  search: {...}, whose keys are the options above with _ for -, and output. Flags win over the recipe.\n\n"
    "JSON: {output, search, resumed, seconds, warnings}, search as in the weft.json beside the adapter: {method, "
    "rule,\n"
    "  metric, budget, spent, seed, examples, examples_sha256, chosen, score, weights: {ADAPTER: w} or\n"
    "  {GROUP: {ADAPTER: w}}, comparison: [{name, score, held_out}], groups, options,\n"
    "  history: [{phase, point, score, total, held_out, part}]}\n"
    "  scores: lower is better, of accuracy and the like the negative; total: with what --l1 and its like add; null: "
    "not\n"
    "  finite.\n\n"
    "Examples:\n"
    "  weft search --base models/llama --pool zoo --examples few.jsonl --budget 40 -o out/found\n"
    "  weft search --base models/llama --pool zoo --examples few.jsonl --lorahub -o out/lorahub\n"
    "  weft search recipes/search.yaml --seed 1 --validation 0.3 --fallback -o out/safe";

}  // namespace

void add_search(CLI::App& root, Session& session) {
  const auto flags = std::make_shared<SearchFlags>();
  CLI::App* command = root.add_subcommand("search", "Find the weights of a pool for the task that a few examples show");
  command->add_option("RECIPE", flags->recipe, "YAML file with 'search:'; flags win over it")->type_name("");
  command->add_option("--base", flags->base, "folder of the base model: config.json, weights, tokenizer")
      ->type_name("DIR");
  command->add_option("--pool", flags->pool, "every folder in it that holds an adapter, by name")->type_name("DIR");
  command
      ->add_option("--adapter", flags->adapters,
                   "folder or file of an adapter, repeated for several, after those of --pool; NAME=PATH names one")
      ->type_name("PATH")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--examples,--data", flags->data, "examples of the task; shapes as in weft eval --help")
      ->type_name("FILE");
  command->add_option("--prompt-template", flags->form.prompt, "prompt made of fields, as in 'Q: {input} A:'")
      ->type_name("TEXT");
  command->add_option("--completion-template", flags->form.completion, "completion made of fields")->type_name("TEXT");
  command->add_option("--text-template", flags->form.text, "text made of fields")->type_name("TEXT");
  command
      ->add_option("--base-dtype", flags->base_dtype,
                   "hold the base in float32, bfloat16 or float16; default: as stored. A CPU computes in float32")
      ->type_name("DTYPE");
  command->add_option("--device", flags->device, "cpu, cuda or cuda:1; default: cpu")->type_name("DEVICE");
  command->add_flag("--lorahub", flags->lorahub,
                    "LoRAHub as published: rule factors, its optimiser, budget 40, --l1 0.05, its normalisation");
  add_searching_flags(*command, *flags);
  add_setting_flags(*command, *flags);
  command->footer(search_methods_help() + kSearchHelp);
  command->callback([flags, &session] { run_searching(search_job(*flags), *flags, session); });
}

}  // namespace weft::cli
