#include "adapter/output_place.h"

#include <system_error>

namespace weft::adapter {

bool would_replace(const std::filesystem::path& out, const std::filesystem::path& input) {
  const auto resolved = [](const std::filesystem::path& path) {
    std::error_code failed;  // a loop of links, a name too long: what cannot be resolved is compared as it is written
    const auto whole = std::filesystem::absolute(path);
    const auto real = std::filesystem::weakly_canonical(whole, failed);
    return (failed ? whole : real).lexically_normal();
  };
  const auto target = resolved(out), source = resolved(input);
  auto at = source.begin();
  for (const auto& part : target) {
    if (part.empty()) continue;  // a trailing separator
    if (at == source.end() || *at != part) return false;
    ++at;
  }
  return true;
}

}  // namespace weft::adapter
