#pragma once

#include <cstdint>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/core/log.h"
#include "weft/data/examples.h"
#include "weft/eval/objective.h"
#include "weft/flow/search.h"
#include "weft/model/model.h"
#include "weft/text/tokenizer.h"

namespace weft::flow {

/// What a preselection looks at; everything stays the caller's.
struct Preselection {
  const model::BaseModel* model = nullptr;
  const text::Tokenizer* tokenizer = nullptr;
  const data::Examples* examples = nullptr;
  const adapter::Pool* pool = nullptr;
  const SearchJob* job = nullptr;
  eval::ObjectiveOptions scoring;
};

/// Indices of the `keep` most promising adapters, ascending. Slices of the pool are stacked one after the other, so a
/// pool of thousands needs no more memory than a slice.
std::vector<size_t> preselect(const Preselection& wanted, std::int64_t keep, Log& log);

}  // namespace weft::flow
