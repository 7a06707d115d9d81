// Sparsify, elect, combine on the entries of updates, tile by tile.
//   magnitude, sign election, mean of those that agree: TIES-Merging, Yadav et al. 2023, arXiv:2306.01708 (operator as
//   in PEFT) random dropping with rescaling: DARE, Yu et al. 2023, arXiv:2311.03099
#include "merge/entrywise.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "weft/core/parallel.h"
#include "weft/core/random.h"

namespace weft::merge {

EntrywiseMerge::EntrywiseMerge(std::vector<EntrywiseTerm> terms, const MergeSpec& spec, double factor, int threads)
    : terms_(std::move(terms)), sparsify_(spec.sparsify), rescale_(spec.rescale) {
  for (const EntrywiseTerm& t : terms_) {
    weights_.push_back(static_cast<float>(t.weight));
    keys_.push_back(hash_key(t.key, static_cast<std::uint64_t>(spec.seed)));
  }
  rule_.consensus = spec.consensus != Consensus::kNone;
  rule_.frequency = spec.consensus == Consensus::kSignFrequency;
  rule_.weighted_vote = spec.vote == Vote::kWeighted;
  rule_.mean = spec.combine == Combine::kMean;
  rule_.weight_divisor = spec.divisor == Divisor::kWeight;
  rule_.factor = static_cast<float>(factor);
  if (sparsify_ == Sparsify::kMagnitude) find_thresholds(threads);
}

void EntrywiseMerge::find_thresholds(int threads) {
  thresholds_.resize(terms_.size());
  const auto find = [&](size_t i, int inner) {
    const linalg::FactoredRows& x = terms_[i].rows;
    const auto keep = static_cast<std::int64_t>(
        std::floor(terms_[i].density * static_cast<double>(x.rows() * x.cols())));  // one product, as PEFT rounds it
    thresholds_[i] = linalg::largest_entries(x, keep, inner);
  };
  const int workers = threads > 0 ? threads : default_threads();
  const size_t whole = terms_.size() - terms_.size() % static_cast<size_t>(workers);
  // As many updates side by side as there are threads; those left over share all threads.
  parallel_for(static_cast<std::int64_t>(whole), threads, [&](std::int64_t i) { find(static_cast<size_t>(i), 1); });
  for (size_t i = whole; i < terms_.size(); ++i) find(i, threads);
}

void EntrywiseMerge::sparsify_block(size_t term, std::int64_t i0, std::int64_t i1, std::int64_t j0, std::int64_t j1,
                                    float* block) const {
  const double density = terms_[term].density;
  if (density >= 1.0 || sparsify_ == Sparsify::kNone) return;
  const std::int64_t width = j1 - j0;
  if (sparsify_ == Sparsify::kMagnitude) {
    linalg::keep_largest(thresholds_[term], cols(), i0, i1, j0, j1, block, width);
    return;
  }
  const auto limit = static_cast<std::uint64_t>(std::llround(density * 0x1p32));
  const float rescale = rescale_ ? static_cast<float>(1.0 / density) : 1.0f;
  for (std::int64_t i = i0; i < i1; ++i)
    linalg::kernels().keep_random(block + (i - i0) * width, width, keys_[term], i, j0, limit, rescale);
}

void EntrywiseMerge::tile(std::int64_t t, float* out) const {
  using linalg::kBlockCols, linalg::kBlockRows, linalg::kTileRows;
  const std::int64_t first = t * kTileRows, end = std::min(rows(), first + kTileRows), n = cols();
  const size_t count = terms_.size();
  std::vector<float> blocks(count * kBlockRows * kBlockCols);
  std::vector<const float*> lines(count);
  for (std::int64_t i = first; i < end; i += kBlockRows) {
    const std::int64_t i1 = std::min(end, i + kBlockRows);
    for (std::int64_t j = 0; j < n; j += kBlockCols) {
      const std::int64_t j1 = std::min(n, j + kBlockCols), width = j1 - j;
      for (size_t k = 0; k < count; ++k) {
        float* block = blocks.data() + k * kBlockRows * kBlockCols;
        terms_[k].rows.block(i, i1, j, j1, block, width);
        sparsify_block(k, i, i1, j, j1, block);
      }
      for (std::int64_t u = i; u < i1; ++u) {
        for (size_t k = 0; k < count; ++k) lines[k] = blocks.data() + k * kBlockRows * kBlockCols + (u - i) * width;
        linalg::kernels().combine(lines.data(), weights_.data(), static_cast<std::int64_t>(count), width, rule_,
                                  out + (u - first) * n + j);
      }
    }
  }
}

}  // namespace weft::merge
