#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "weft/core/log.h"
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

/// What StoppingLog throws; no error of the library.
struct SearchStopped {};

/// Ends a search from outside after so many evaluations, as a crash would.
class StoppingLog : public Log {
 public:
  explicit StoppingLog(std::int64_t after) : after_(after) {}
  void progress(std::string_view what, std::int64_t done, std::int64_t, std::string_view) override {
    if (what == "searching" && done >= after_) throw SearchStopped();
  }

 private:
  std::int64_t after_;
};

/// Runs into a stop. True if it came to that.
inline bool is_stopped(const flow::SearchJob& job, std::int64_t after) {
  StoppingLog log(after);
  try {
    flow::search(job, log);
  } catch (const SearchStopped&) {
    return true;
  }
  return false;
}

}  // namespace weft::test
