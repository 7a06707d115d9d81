#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "cli/composing.h"
#include "cli/evaluating.h"
#include "cli/searching.h"
#include "cli/session.h"
#include "cli/training.h"
#include "weft/recipe/recipe.h"

namespace weft::cli {

namespace {

/// Runs a recipe with `train:`, whose flags are those that composing has too.
void run_train_recipe(const std::string& recipe, const ComposeFlags& flags, Session& session) {
  if (flags.dry_run || !flags.memory.empty())
    throw UsageError("--dry-run and --memory are for recipes that merge; this one trains");
  TrainingFlags training;
  training.output = flags.output, training.dtype = flags.dtype, training.threads = flags.threads;
  training.force = flags.force, training.print_recipe = flags.print_recipe;
  training.json = flags.json, training.quiet = flags.quiet;
  run_training(flow::load_train_recipe(recipe), training, session);
}

/// True for a recipe that searches: it has `search:` or a method that does.
bool is_search_recipe(const Value& recipe) {
  const Value* method = recipe.find("method");
  const bool searches =
      method != nullptr && method->is_scalar() && (method->scalar == "search" || method->scalar == "lorahub");
  return searches || recipe.find("search") != nullptr;
}

/// Runs it, whose flags are those that composing has too.
void run_searching_recipe(const std::string& recipe, const ComposeFlags& flags, Session& session) {
  if (flags.dry_run || !flags.memory.empty())
    throw UsageError("--dry-run and --memory are for recipes that merge; this one searches");
  SearchingFlags searching;
  searching.output = flags.output, searching.dtype = flags.dtype, searching.threads = flags.threads;
  searching.force = flags.force, searching.print_recipe = flags.print_recipe;
  searching.json = flags.json, searching.quiet = flags.quiet;
  run_search_recipe(recipe, searching, session);
}

/// Runs a recipe with `eval:`, which writes nothing.
void run_evaluation_recipe(const std::string& recipe, const ComposeFlags& flags, Session& session) {
  if (flags.dry_run || flags.print_recipe || flags.force || !flags.memory.empty() || !flags.output.empty() ||
      !flags.dtype.empty())
    throw UsageError(
        "this recipe evaluates and writes nothing: only --threads, --json and -q go with it; weft eval "
        "RECIPE has more");
  run_eval_recipe(recipe, flags.threads, flags.json, flags.quiet, session);
}

}  // namespace

void add_compose(CLI::App& root, Session& session) {
  struct Flags : ComposeFlags {
    std::string recipe;
  };
  const auto flags = std::make_shared<Flags>();
  CLI::App* command =
      root.add_subcommand("compose", "Run a recipe: compose its adapters into one, search, train or evaluate");
  command->add_option("RECIPE", flags->recipe, "YAML file; paths in it are relative to it")->required()->type_name("");
  add_compose_flags(*command, *flags);
  command->footer("Example:\n  weft compose recipes/ties.yaml -o out/ties");
  command->callback([flags, &session] {
    const Value recipe = recipe::load(flags->recipe);
    if (recipe.is_map() && recipe.find("train") != nullptr)
      run_train_recipe(flags->recipe, *flags, session);
    else if (recipe.is_map() && recipe.find("eval") != nullptr)
      run_evaluation_recipe(flags->recipe, *flags, session);
    else if (recipe.is_map() && is_search_recipe(recipe))
      run_searching_recipe(flags->recipe, *flags, session);
    else
      run_job(flow::load_recipe(flags->recipe), *flags, session);
  });
}

}  // namespace weft::cli
