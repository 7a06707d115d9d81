#include "flow/dtype.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "weft/core/value.h"

namespace weft::flow {

namespace {

constexpr std::array<std::pair<const char*, c10::ScalarType>, 4> kOutputDtypes = {{
    {"float32", c10::ScalarType::Float},
    {"float16", c10::ScalarType::Half},
    {"bfloat16", c10::ScalarType::BFloat16},
    {"float64", c10::ScalarType::Double},
}};

bool is_output_dtype(c10::ScalarType dtype) {
  for (const auto& entry : kOutputDtypes)
    if (entry.second == dtype) return true;
  return false;
}

}  // namespace

c10::ScalarType dtype_called(const std::string& name, const Place& place) {
  std::vector<std::string> names;
  for (const auto& [known, dtype] : kOutputDtypes) {
    if (name == known) return dtype;
    names.emplace_back(known);
  }
  throw RecipeError(place, fmt::format("unknown dtype '{}'{}", name, suggestion(name, names)));
}

void check_trained_dtype(const std::string& name, const Place& place) {
  // Trained weights are float32: float64 would say no more.
  const std::vector<std::string> names = {"float32", "float16", "bfloat16"};
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw RecipeError(place, fmt::format("unknown dtype '{}'{}", name, suggestion(name, names)));
}

c10::ScalarType output_dtype(const std::string& wanted, const adapter::Pool& pool) {
  if (!wanted.empty()) return dtype_called(wanted, {});
  std::optional<c10::ScalarType> shared;
  for (const adapter::Adapter& member : pool.adapters())
    for (const adapter::ModuleInfo& module : member.modules()) {
      if (shared && *shared != module.dtype) return c10::ScalarType::Float;
      shared = module.dtype;
    }
  return shared && is_output_dtype(*shared) ? *shared : c10::ScalarType::Float;
}

}  // namespace weft::flow
