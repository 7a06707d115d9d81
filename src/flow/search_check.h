#pragma once

#include <cstdint>

#include "weft/flow/search.h"

namespace weft::flow {

/// A pool larger than this is narrowed unless the user says otherwise.
constexpr std::int64_t kLargePool = 64;

/// @throws UsageError: what a job lacks, and options that contradict each other or would be ignored.
void check_search(const SearchJob& job);

/// The score of examples has gradients.
bool has_gradient(const SearchOptions& options);

}  // namespace weft::flow
