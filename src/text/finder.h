#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/components.h"
#include "text/regex.h"

namespace weft::text {

/// Finds a text or a regular expression: what Split and Replace look for. Thread-safe.
class Finder {
 public:
  Finder(const SearchFor& what, const std::string& file);
  /// All matches in `text`, left to right, not overlapping, as byte ranges.
  void find_all(std::string_view text, std::vector<std::pair<size_t, size_t>>& matches) const;

 private:
  std::string text_;
  std::optional<Regex> regex_;
};

}  // namespace weft::text
