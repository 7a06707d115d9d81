#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linalg/kernels.h"
#include "linalg/random_svd.h"
#include "linalg/rows.h"
#include "linalg/select.h"
#include "merge/coefficients.h"
#include "weft/merge/spec.h"

namespace weft::merge {

/// One adapter's part in an entrywise merge.
struct EntrywiseTerm {
  linalg::FactoredRows rows;
  double weight = 1.0;
  double density = 1.0;
  std::string key;  ///< adapter and module: what random masks are drawn from
};

/**
 * The entrywise rule applied to updates that are produced row by row: sparsify, elect, combine. Nothing dense is kept;
 * any tile can be asked for at any time. Thresholds are found when constructed (one pass over each update).
 */
class EntrywiseMerge : public linalg::TileSource {
 public:
  EntrywiseMerge(std::vector<EntrywiseTerm> terms, const MergeSpec& spec, double factor, int threads);
  std::int64_t rows() const override { return terms_.front().rows.rows(); }
  std::int64_t cols() const override { return terms_.front().rows.cols(); }
  void tile(std::int64_t t, float* out) const override;

 private:
  void sparsify_block(size_t term, std::int64_t i0, std::int64_t i1, std::int64_t j0, std::int64_t j1,
                      float* block) const;
  void find_thresholds(int threads);

  std::vector<EntrywiseTerm> terms_;
  std::vector<linalg::Threshold> thresholds_;  // magnitude
  std::vector<std::uint64_t> keys_;            // random
  std::vector<float> weights_;
  linalg::CombineRule rule_;
  Sparsify sparsify_;
  bool rescale_;
};

}  // namespace weft::merge
