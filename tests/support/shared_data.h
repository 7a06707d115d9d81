#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace weft::test {

/// The folder of real data beside the checkout (or $WEFT_SHARED_DATA), or an empty path after saying why the test is
/// skipped.
inline std::filesystem::path shared_data(const std::string& part) {
  const char* set = std::getenv("WEFT_SHARED_DATA");
  const std::filesystem::path root =
      set != nullptr ? std::filesystem::path(set) : std::filesystem::path(WEFT_SOURCE_DIR) / ".." / "shared" / "data";
  const std::filesystem::path path = root / part;
  if (std::filesystem::exists(path)) return path;
  MESSAGE("skipped: real data not found at " << path.string());
  return {};
}

}  // namespace weft::test
