#pragma once

#include <string>

#include "weft/adapter/pool.h"
#include "weft/core/error.h"

namespace weft::flow {

/// The dtype called `name`; RecipeError at `place` with the nearest name otherwise.
c10::ScalarType dtype_called(const std::string& name, const Place& place);
/// RecipeError at `place`, with the nearest name, unless trained weights can be written in that dtype.
void check_trained_dtype(const std::string& name, const Place& place);
/// `wanted` if not empty, else the dtype all modules of the pool share, else float32.
c10::ScalarType output_dtype(const std::string& wanted, const adapter::Pool& pool);

}  // namespace weft::flow
