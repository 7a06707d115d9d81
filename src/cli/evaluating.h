#pragma once

#include <string>

#include "cli/session.h"

namespace weft::cli {

/// Runs a recipe with `eval:` as `weft eval RECIPE` does.
void run_eval_recipe(const std::string& recipe, const std::string& threads, bool json, bool quiet, Session& session);

}  // namespace weft::cli
