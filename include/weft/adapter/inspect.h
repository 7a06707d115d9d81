#pragma once

#include <string>
#include <vector>

#include "weft/adapter/pool.h"

namespace weft::adapter {

/// Measured facts of one module's delta, from factors alone.
struct ModuleReport {
  std::string name;
  std::int64_t out = 0, in = 0, rank = 0;
  double scale = 1.0;
  double norm = 0.0;                    ///< Frobenius norm of the delta
  double effective_rank = 0.0;          ///< exp of the entropy of the normalised squared singular values
  std::vector<double> singular_values;  ///< descending, at most `rank` of them
};

/// Measured facts of one adapter.
struct AdapterReport {
  std::string name;
  double norm = 0.0;
  std::int64_t parameters = 0;
  std::vector<ModuleReport> modules;
  std::vector<std::string> warnings;  ///< zero B, NaN, suspicious scale, …
};

/// Measured facts of a pool.
struct PoolReport {
  std::vector<AdapterReport> adapters;
  std::vector<std::string> common_modules;  ///< modules every member has
  std::vector<std::vector<double>> cosine;  ///< [n][n] cosine of the deltas over all modules; 0 where a norm is 0
  std::vector<std::vector<double>> gram;    ///< [n][n] inner products of the deltas
  std::vector<std::vector<double>>
      overlap;  ///< [n][n] mean over shared modules of ‖U_iᵀU_j‖² / min(r_i, r_j), column spaces
  std::vector<std::vector<double>> shared;  ///< [n][n] share of modules in common (Jaccard)
  std::vector<std::string> warnings;
};

/// Reads every factor once; never forms a dense delta. Modules in parallel on `threads` (0: all).
WEFT_API PoolReport inspect(const Pool& pool, int threads = 0);

}  // namespace weft::adapter
