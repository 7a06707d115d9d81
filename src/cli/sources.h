#pragma once

#include <string>

#include "weft/adapter/pool.h"

namespace weft::cli {

/// `PATH` or `NAME=PATH`; an existing path is a path, whatever it contains. @throws UsageError when nothing follows
/// `=`.
adapter::Pool::Source source_of(const std::string& text);

}  // namespace weft::cli
