#pragma once

#include <filesystem>

namespace weft::adapter {

/// True if writing to `out` would replace `input`: it is the same place, or holds it.
bool would_replace(const std::filesystem::path& out, const std::filesystem::path& input);

}  // namespace weft::adapter
