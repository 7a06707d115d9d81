#include "adapter/peft_experts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "weft/core/error.h"

namespace weft::adapter {

namespace {

bool is_tail_of(std::string_view tail, std::string_view path) {
  if (tail.size() > path.size() || path.substr(path.size() - tail.size()) != tail) return false;
  return tail.size() == path.size() || path[path.size() - tail.size() - 1] == '.';
}

/// Whether `target_modules` names the module itself; PEFT wraps no parameters of such a module.
bool is_target_module(const PeftConfig& config, const std::string& module) {
  for (const Pattern& p : config.target_regex)
    if (p.matches_whole(module)) return true;
  return std::any_of(config.target_modules.begin(), config.target_modules.end(),
                     [&](const std::string& t) { return is_tail_of(t, module); });
}

/// Where a parameter usually stands among its module's, counting up; -1 when not known. A bias follows its weight.
int usual_position(const std::string& name) {
  struct Row {
    std::string_view part;
    int position;
  };
  static constexpr Row kRows[] = {{"gate", 0}, {"w13", 0}, {"w1", 0},   {"input_linear", 0}, {"up_proj", 2},
                                  {"v1", 2},   {"w3", 6},  {"down", 4}, {"w2", 4},           {"output_linear", 4}};
  for (const Row& row : kRows)
    if (name.find(row.part) != std::string::npos) return row.position + (name.ends_with("bias") ? 1 : 0);
  return -1;
}

/// Puts names in their usual order; false, and the names as they were, when that order is not known.
bool sort_by_usual_position(std::vector<std::string>& names) {
  std::vector<std::pair<int, std::string>> known;
  for (const std::string& name : names) known.emplace_back(usual_position(name), name);
  std::sort(known.begin(), known.end());
  for (size_t i = 0; i < known.size(); ++i)
    if (known[i].first < 0 || (i > 0 && known[i].first == known[i - 1].first)) return false;
  for (size_t i = 0; i < known.size(); ++i) names[i] = known[i].second;
  return true;
}

/// The parameters of `module` that `target_parameters` names: with the module's path (`dotted`), or bare.
std::vector<std::string> named_parameters(const PeftConfig& config, const std::string& module, bool dotted) {
  std::vector<std::string> found;
  for (const std::string& target : config.target_parameters) {
    const size_t dot = target.rfind('.');
    if ((dot != std::string::npos) != dotted) continue;
    const std::string name = dotted ? target.substr(dot + 1) : target;
    const bool fits =
        dotted ? is_tail_of(std::string_view(target).substr(0, dot), module) : !is_target_module(config, module);
    if (fits && std::find(found.begin(), found.end(), name) == found.end()) found.push_back(name);
  }
  return found;
}

}  // namespace

std::vector<std::string> expert_parameters(const PeftConfig& config, const std::string& module, int depths,
                                           std::string& warning) {
  std::vector<std::string> found = named_parameters(config, module, true);
  // A bare name is a parameter of any module that has one, so it counts only where the full names do not suffice.
  if (static_cast<int>(found.size()) != depths)
    for (const std::string& name : named_parameters(config, module, false))
      if (std::find(found.begin(), found.end(), name) == found.end()) found.push_back(name);
  if (found.empty() && depths == 1) return {};
  if (static_cast<int>(found.size()) != depths)
    throw InputError(fmt::format(
        "{}: the tensors hold {} updates of parameters of '{}', but target_parameters names {} of that module ({}); "
        "name in target_parameters exactly those that were trained",
        config.file, depths, module, found.size(), fmt::join(found, ", ")));
  if (depths == 1) return found;
  if (!sort_by_usual_position(found))
    warning = fmt::format(
        "{}: which update of '{}' belongs to which of {} is not stored; their order in the base model is taken to be "
        "this one",
        config.file, module, fmt::join(found, ", "));
  std::reverse(found.begin(), found.end());  // the first parameter is the innermost: the deepest
  return found;
}

}  // namespace weft::adapter
