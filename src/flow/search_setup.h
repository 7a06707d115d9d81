#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/core/log.h"
#include "weft/eval/objective.h"
#include "weft/flow/search.h"
#include "weft/model/model.h"
#include "weft/search/space.h"
#include "weft/text/tokenizer.h"

namespace weft::flow {

/// Everything that is opened once.
struct SearchSetup {
  model::BaseModel model;
  text::Tokenizer tokenizer;
  std::vector<adapter::Pool::Source> sources;  ///< named; those that were kept of a large pool
  nn::Experts experts;
  search::Space space;
  std::optional<eval::Objective> fit, held_out;
  std::vector<size_t> fold_of;  ///< of each example to search on: its number among those of its label
};
SearchSetup open_search(const SearchJob& job, Log& log);

/// The pool's adapters with these weights [groups · adapters].
model::Composition composition_of(const SearchSetup& setup, nn::Rule rule, const eval::Weights& weights);

}  // namespace weft::flow
