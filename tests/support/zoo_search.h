#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weft/flow/search.h"

namespace weft::test {

/// A search over the zoo's thirteen task adapters for one of its unseen tasks, single-threaded, into `output`.
inline flow::SearchJob zoo_search(const std::string& task, const std::filesystem::path& output) {
  const std::filesystem::path zoo = std::filesystem::path(WEFT_SOURCE_DIR) / "recipes" / "zoo";
  flow::SearchJob job;
  job.runtime.base = zoo / "base";
  job.runtime.threads = 1;
  for (const char* name :
       {"reverse", "first", "last", "sort", "swap", "next", "rotate", "drop", "parens", "upper", "dash", "is", "json"})
    job.runtime.adapters.push_back({zoo / "adapters" / name, name});
  job.data = zoo / "data" / task / "few.jsonl";
  job.output = output;
  job.dtype = "float32";
  return job;
}

}  // namespace weft::test
