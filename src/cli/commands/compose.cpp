#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "cli/composing.h"
#include "cli/session.h"

namespace weft::cli {

void add_compose(CLI::App& root, Session& session) {
  struct Flags : ComposeFlags {
    std::string recipe;
  };
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = root.add_subcommand("compose", "Run a recipe: compose its adapters into one");
  command->add_option("RECIPE", flags->recipe, "YAML file; paths in it are relative to it")->required()->type_name("");
  add_compose_flags(*command, *flags);
  command->footer("Example:\n  weft compose recipes/ties.yaml -o out/ties");
  command->callback([flags, &session] { run_job(flow::load_recipe(flags->recipe), *flags, session); });
}

}  // namespace weft::cli
