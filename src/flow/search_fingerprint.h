#pragma once

#include <string>

#include "flow/search_setup.h"
#include "weft/flow/search.h"

namespace weft::flow {

/// Says which search this is: what it is asked for and the content of its inputs, but not where the output goes or how
/// the work is shared out.
std::string fingerprint_of(const SearchJob& job, const SearchSetup& setup);

}  // namespace weft::flow
