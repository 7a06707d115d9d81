#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/golden_models.h"
#include "weft/model/generate.h"

namespace weft::test {

using Ids = std::vector<std::int64_t>;

/// One of the golden models.
inline model::BaseModel tiny(const std::string& folder) { return model::BaseModel::open(golden_models() / folder); }

/// So many new tokens at most.
inline model::GenerateOptions up_to(std::int64_t max_new_tokens) {
  model::GenerateOptions o;
  o.max_new_tokens = max_new_tokens;
  return o;
}

/// Exactly so many new tokens.
inline model::GenerateOptions endless(std::int64_t max_new_tokens) {
  model::GenerateOptions o = up_to(max_new_tokens);
  o.end_tokens.emplace();
  return o;
}

}  // namespace weft::test
