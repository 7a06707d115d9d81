#include "weft/core/error.h"

namespace weft {

std::string Place::text() const {
  std::string out = file;
  if (line > 0) out += (out.empty() ? "line " : ":") + std::to_string(line);
  if (line > 0 && column > 0) out += ":" + std::to_string(column);
  return out;
}

RecipeError::RecipeError(const Place& place, const std::string& text)
    : UsageError(place.text().empty() ? text : place.text() + ": " + text), place_(place) {}

}  // namespace weft
