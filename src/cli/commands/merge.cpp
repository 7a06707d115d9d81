#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/composing.h"
#include "cli/session.h"
#include "cli/sources.h"
#include "cli/table.h"
#include "weft/recipe/recipe.h"

namespace weft::cli {

namespace {

struct MergeFlags : ComposeFlags {
  std::vector<std::string> adapters, settings;
  std::string method, weights, base_model;
  CLI::Option* weights_given = nullptr;  ///< tells `--weights ''` from no weights
};

void apply_weights(const std::string& text, size_t adapters, merge::MergeSpec& spec) {
  const Value weights = recipe::parse_option("[" + text + "]", "--weights");
  if (!weights.is_list() || weights.list.size() != adapters)
    throw UsageError(fmt::format("--weights has {} values for {} adapters; give one each, as in --weights 0.6,-0.2",
                                 weights.list.size(), adapters));
  for (size_t i = 0; i < adapters; ++i)
    merge::set_adapter_option(spec, i, "weight", weights.list[i], {"--weights", 0, 0});
}

/// Applies one KEY=VALUE; returns the key.
std::string apply_setting(const std::string& text, merge::MergeSpec& spec) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0)
    throw UsageError(fmt::format("--set '{}', expected KEY=VALUE, as in --set density=0.5", text));
  const std::string key = text.substr(0, at);
  merge::set_option(spec, key, recipe::parse_option(text.substr(at + 1), key), {"--set " + key, 0, 0});
  return key;
}

void apply_settings(const MergeFlags& flags, merge::MergeSpec& spec) {
  std::set<std::string> seen;
  for (const std::string& text : flags.settings) {
    const std::string key = apply_setting(text, spec);
    if (!seen.insert(key).second) throw UsageError(fmt::format("--set {} is given twice; give it once", key));
  }
  if (seen.count("weight") != 0 && flags.weights_given->count() > 0)
    throw UsageError("--weights and --set weight both say the weights; give one of them");
}

flow::ComposeJob job_of(const MergeFlags& flags) {
  if (flags.method.empty()) throw UsageError("--method is missing; 'weft methods' lists them");
  flow::ComposeJob job;
  for (const std::string& text : flags.adapters) job.adapters.push_back(source_of(text));
  job.base_model = flags.base_model;
  job.spec = merge::find_method(flags.method, {"--method", 0, 0}).spec;
  apply_settings(flags, job.spec);
  if (flags.weights_given->count() > 0) apply_weights(flags.weights, job.adapters.size(), job.spec);
  return job;
}

std::string settings_help() {
  Table table({"KEY", "values", "what it does"});
  for (const Field& field : merge::fields()) table.add({field.name, field.range(), field.doc});
  return "Keys of --set; numbers may be gradients or rules, as in --set 'density=[{filter: mlp, value: 0.3}, {value: "
         "0.5}]':\n" +
         table.text(2);
}

}  // namespace

void add_merge(CLI::App& root, Session& session) {
  const auto flags = std::make_shared<MergeFlags>();
  CLI::App* command = root.add_subcommand("merge", "Merge adapters into one");
  command->add_option("ADAPTER", flags->adapters, "folder or file of an adapter; NAME=PATH names it")
      ->required()
      ->type_name("");
  command->add_option("--method", flags->method, "how; 'weft methods' lists them")->type_name("NAME");
  flags->weights_given =
      command->add_option("--weights", flags->weights, "one number per adapter; default: 1 each")->type_name("W,W,...");
  command->add_option("--set", flags->settings, "an option of the method, in YAML; 'weft methods NAME' lists them")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  command
      ->add_option("--base-model", flags->base_model,
                   "folder of the base model; needed only where deltas depend on its weights (DoRA, PiSSA, ...)")
      ->type_name("DIR");
  add_compose_flags(*command, *flags);
  command->footer(
      settings_help() +
      "\nExamples:\n"
      "  weft merge zoo/reverse zoo/quote --method linear --weights 0.6,-0.2 -o out/linear\n"
      "  weft merge r=zoo/reverse q=zoo/quote --method ties --set density=0.3 --set rank=energy:0.99 -o out/ties\n"
      "  weft merge zoo/* --method dare_ties --set seed=7 --dtype bfloat16 --dry-run");
  command->callback([flags, &session] { run_job(job_of(*flags), *flags, session); });
}

}  // namespace weft::cli
