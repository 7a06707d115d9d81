#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/adapter/pool.h"
#include "weft/adapter/writer.h"
#include "weft/core/log.h"
#include "weft/merge/spec.h"

namespace weft::merge {

/// How a merge runs; none of it changes a byte of the result.
struct RunOptions {
  int threads = 0;          ///< 0: all processors
  std::int64_t memory = 0;  ///< bound on working memory in bytes; 0: half of what is free
  Log* log = nullptr;       ///< nullptr: silent
};

/// What was measured of one merged module.
struct ModuleResult {
  std::string name;
  std::int64_t rank = 0;  ///< of the result
  double norm = 0.0;      ///< Frobenius norm of the composed update before truncation
  double error = 0.0;     ///< relative Frobenius error of the truncation; 0 when exact
};

/// What was measured of a merge.
struct MergeReport {
  std::vector<ModuleResult> modules;
  double norm = 0.0;     ///< of the whole update
  double error = 0.0;    ///< relative, over all modules together
  bool carried = false;  ///< one adapter was carried over whole
  std::vector<std::string> warnings;
};

/// What a merge will take, without doing it.
struct MergePlan {
  double seconds = 0.0;           ///< estimate
  std::int64_t memory = 0;        ///< estimate of peak working memory in bytes
  std::int64_t output_bytes = 0;  ///< upper bound of tensor data at 4 bytes a number; scale by the dtype
  std::int64_t modules = 0;
  bool carried = false;
  std::vector<std::string> warnings;
};

/**
 * Checks everything that can be checked from headers: compatibility of the pool, weights (a sum near zero to normalise
 * by), ranks, variants that the method cannot compose.
 * @throws UsageError, RecipeError, InputError, UnsupportedError; each names the adapter, the module and the way out.
 */
WEFT_API MergePlan plan(const adapter::Pool& pool, const MergeSpec& spec, const RunOptions& options = {});

/// Composes the pool into the writer; does not call finish(). Calls plan() first.
WEFT_API MergeReport merge(const adapter::Pool& pool, const MergeSpec& spec, adapter::AdapterWriter& out,
                           const RunOptions& options = {});

/// The merge of one module in memory, for tests and for callers with tensors of their own: `updates[i]` of adapter i
/// (no blocks: absent).
struct MemoryResult {
  std::vector<adapter::LowRank> blocks;
  double norm = 0.0, error = 0.0;
};
WEFT_API MemoryResult merge_module(const std::string& module, const std::vector<std::string>& adapters,
                                   const std::vector<adapter::LowRank>& updates, const MergeSpec& spec,
                                   const RunOptions& options = {});

}  // namespace weft::merge
