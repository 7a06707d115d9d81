#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "weft/data/examples.h"
#include "weft/flow/search.h"

namespace weft::flow {

/// Examples to search on, and those to choose by.
struct SearchExamples {
  std::optional<data::Examples> fit, held_out;
};
/// Reads and splits them; `held_out` keeps every label of the search part. Nothing with a custom objective.
SearchExamples read_search_examples(const SearchJob& job);

/// A number for each example, so that those with the same remainder are a fold: dealt out label by label, one label
/// going on where the one before ended, folds are of one size and of like composition.
std::vector<size_t> deal_examples(const data::Examples& examples);

}  // namespace weft::flow
