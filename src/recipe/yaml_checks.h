#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "weft/core/error.h"

namespace weft::recipe {

/// Most nodes a recipe may hold after its aliases are expanded.
inline constexpr size_t kMostNodes = 100000;
/// Most bytes of text a recipe may hold after its aliases are expanded.
inline constexpr size_t kMostBytes = size_t{64} << 20;
/// Deepest nesting of lists and mappings.
inline constexpr size_t kDeepest = 64;

/// Refuses text that the YAML scanner would misread or choke on: bytes that are not UTF-8, control characters (the
/// scanner takes 0x04 for the end), more brackets than nodes are allowed. Linear. @throws RecipeError with the place.
void check_text(std::string_view text, const std::string& file);

}  // namespace weft::recipe
