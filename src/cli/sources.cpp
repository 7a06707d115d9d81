#include "cli/sources.h"

#include <fmt/format.h>

#include <filesystem>

namespace weft::cli {

adapter::Pool::Source source_of(const std::string& text) {
  if (text.empty()) throw UsageError("the path of an adapter is empty");
  std::error_code ignored;
  const size_t at = text.find('=');
  const bool named = at != std::string::npos && at > 0 && text.find('/') > at;
  if (!named || std::filesystem::exists(text, ignored)) return {text, {}};
  if (at + 1 == text.size()) throw UsageError(fmt::format("'{}' has no path after '='; expected NAME=PATH", text));
  return {text.substr(at + 1), text.substr(0, at)};
}

}  // namespace weft::cli
