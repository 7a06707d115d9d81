#include "cli/numbers.h"

#include <fmt/format.h>

#include "weft/core/error.h"
#include "weft/core/parallel.h"
#include "weft/core/value.h"

namespace weft::cli {

int thread_count(const std::string& text) {
  constexpr long long kMostThreads = 4096;
  if (text.empty()) return 0;
  const auto number = Value::of(text).integer();
  if (!number || *number < 0 || *number > kMostThreads)
    throw UsageError(
        fmt::format("--threads is '{}', expected a whole number up to {} (0: all processors)", text, kMostThreads));
  return static_cast<int>(*number);
}

std::int64_t positive_count(const std::string& text, const char* option) {
  const auto number = Value::of(text).integer();
  if (!number || *number < 1) throw UsageError(fmt::format("{} is '{}', expected a whole number from 1", option, text));
  return *number;
}

std::int64_t memory_limit(const std::string& text) {
  if (text.empty()) return 0;
  try {
    return parse_size(text);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("--memory: {}", error.what()));
  }
}

}  // namespace weft::cli
