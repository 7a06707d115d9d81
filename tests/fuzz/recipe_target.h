#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "weft/recipe/recipe.h"

namespace weft::fuzz {

/// Anything may be refused with a RecipeError; what is accepted must survive a round trip through to_yaml. Aborts if
/// not.
inline void try_recipe(const std::uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string written;
  try {
    written = recipe::to_yaml(recipe::parse(text, "fuzz.yaml"));
  } catch (const RecipeError&) {
    return;
  }
  std::string again;
  try {
    again = recipe::to_yaml(recipe::parse(written, "again.yaml"));
  } catch (const RecipeError&) {
    std::abort();
  }
  if (again != written) std::abort();
}

}  // namespace weft::fuzz
