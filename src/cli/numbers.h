#pragma once

#include <cstdint>
#include <string>

namespace weft::cli {

/// `--threads`: a whole number, empty for all processors. @throws UsageError.
int thread_count(const std::string& text);
/// `--memory`: bytes, 0 when empty. @throws UsageError.
std::int64_t memory_limit(const std::string& text);

/// `option` as a whole number from 1. @throws UsageError.
std::int64_t positive_count(const std::string& text, const char* option);

}  // namespace weft::cli
