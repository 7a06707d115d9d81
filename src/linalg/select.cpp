#include "linalg/select.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <vector>

#include "linalg/kernels.h"
#include "weft/core/parallel.h"

namespace weft::linalg {

namespace {

constexpr std::int64_t kSmall = 1 << 16;  // below this many entries everything is simply sorted
constexpr std::int64_t kMostSamples = 1 << 16;
constexpr std::uint64_t kSampleKey = 0x5eed5a3717e5ull;

using BlockVisitor =
    std::function<void(std::int64_t i0, std::int64_t j0, std::int64_t rows, std::int64_t cols, const float*)>;

/// Calls `visit` for every block of one tile, left to right within bands of rows.
void for_blocks(const FactoredRows& x, std::int64_t tile, const BlockVisitor& visit) {
  std::vector<float> buffer(kBlockRows * kBlockCols);
  const std::int64_t end = std::min(x.rows(), (tile + 1) * kTileRows);
  for (std::int64_t i = tile * kTileRows; i < end; i += kBlockRows) {
    const std::int64_t rows = std::min(kBlockRows, end - i);
    for (std::int64_t j = 0; j < x.cols(); j += kBlockCols) {
      const std::int64_t cols = std::min(kBlockCols, x.cols() - j);
      x.block(i, i + rows, j, j + cols, buffer.data(), cols);
      visit(i, j, rows, cols, buffer.data());
    }
  }
}

struct Bracket {
  float low, high;
};

/// A range of magnitudes that holds the k-th largest with high probability (more than six standard deviations of the
/// sample).
Bracket sample_bracket(const FactoredRows& x, std::int64_t k) {
  const std::int64_t entries = x.rows() * x.cols(), count = std::clamp<std::int64_t>(entries / 64, 4096, kMostSamples);
  std::vector<float> sample = x.sample_magnitudes(count, kSampleKey);
  const double share = static_cast<double>(k) / static_cast<double>(entries), size = static_cast<double>(count);
  const double middle = share * size, slack = 4.0 * std::sqrt(size * share * (1 - share)) + 8.0;
  const auto upper = static_cast<std::int64_t>(std::floor(middle - slack));
  const auto lower = static_cast<std::int64_t>(std::ceil(middle + slack));
  const auto largest = [&sample](std::int64_t rank) {
    std::nth_element(sample.begin(), sample.begin() + rank, sample.end(), std::greater<>());
    return sample[static_cast<size_t>(rank)];
  };
  Bracket out;
  out.high = upper < 0 ? std::numeric_limits<float>::infinity() : largest(upper);
  out.low = lower >= count ? 0.0f : largest(lower);
  return out;
}

struct Collected {
  std::int64_t above = 0;
  std::vector<float> inside;
};

Collected collect(const FactoredRows& x, const Bracket& range, int threads) {
  std::vector<Collected> parts(static_cast<size_t>(tile_count(x.rows())));
  parallel_for(static_cast<std::int64_t>(parts.size()), threads, [&](std::int64_t tile) {
    Collected& part = parts[static_cast<size_t>(tile)];
    std::vector<float> found(kBlockRows * kBlockCols);
    for_blocks(x, tile, [&](std::int64_t, std::int64_t, std::int64_t rows, std::int64_t cols, const float* block) {
      const std::int64_t n = kernels().bracket(block, rows * cols, range.low, range.high, &part.above, found.data());
      part.inside.insert(part.inside.end(), found.begin(), found.begin() + n);
    });
  });
  Collected all;
  size_t total = 0;
  for (const Collected& p : parts) all.above += p.above, total += p.inside.size();
  all.inside.reserve(total);
  for (Collected& p : parts) {
    all.inside.insert(all.inside.end(), p.inside.begin(), p.inside.end());
    p.inside = {};
  }
  return all;
}

/// Exact k-th largest magnitude by two histograms of 16 bits each: always right, two passes.
float kth_by_histogram(const FactoredRows& x, std::int64_t k, int threads) {
  std::uint32_t prefix = 0;
  for (int level = 0; level < 2; ++level) {
    std::vector<std::int64_t> counts(1 << 16, 0);
    const auto count_tile = [&](std::int64_t tile, std::vector<std::int64_t>& into) {
      for_blocks(x, tile, [&](std::int64_t, std::int64_t, std::int64_t rows, std::int64_t cols, const float* block) {
        for (std::int64_t e = 0; e < rows * cols; ++e) {
          const auto bits = std::bit_cast<std::uint32_t>(std::fabs(block[e]));
          if (level == 0)
            ++into[bits >> 16];
          else if (bits >> 16 == prefix)
            ++into[bits & 0xffff];
        }
      });
    };
    const int groups = threads > 0 ? threads : default_threads();
    std::vector<std::vector<std::int64_t>> sums(static_cast<size_t>(groups), std::vector<std::int64_t>(1 << 16, 0));
    parallel_for(groups, threads, [&](std::int64_t g) {
      for (std::int64_t t = g; t < tile_count(x.rows()); t += groups) count_tile(t, sums[static_cast<size_t>(g)]);
    });
    for (const auto& s : sums)
      for (size_t b = 0; b < s.size(); ++b) counts[b] += s[b];
    std::int64_t seen = 0;
    size_t bin = (1 << 16) - 1;
    while (seen + counts[bin] < k && bin > 0) seen += counts[bin--];
    k -= seen;
    if (level == 0)
      prefix = static_cast<std::uint32_t>(bin);
    else
      return std::bit_cast<float>((prefix << 16) | static_cast<std::uint32_t>(bin));
  }
  return 0.0f;
}

/// The flat index of the `quota`-th entry whose magnitude equals `value`.
std::int64_t locate_tie(const FactoredRows& x, float value, std::int64_t quota, int threads) {
  std::vector<std::vector<std::int64_t>> parts(static_cast<size_t>(tile_count(x.rows())));
  parallel_for(static_cast<std::int64_t>(parts.size()), threads, [&](std::int64_t tile) {
    auto& part = parts[static_cast<size_t>(tile)];
    for_blocks(x, tile,
               [&](std::int64_t i0, std::int64_t j0, std::int64_t rows, std::int64_t cols, const float* block) {
                 for (std::int64_t i = 0; i < rows; ++i)
                   for (std::int64_t j = 0; j < cols; ++j)
                     if (std::fabs(block[i * cols + j]) == value) part.push_back((i0 + i) * x.cols() + j0 + j);
               });
    std::sort(part.begin(), part.end());
  });
  for (const auto& part : parts) {
    if (quota <= static_cast<std::int64_t>(part.size())) return part[static_cast<size_t>(quota - 1)];
    quota -= static_cast<std::int64_t>(part.size());
  }
  return std::numeric_limits<std::int64_t>::max();
}

struct Ranked {
  float value = 0;
  std::int64_t greater = 0, equal = 0;
};

/// The `rank`-th largest of `values` (rank from 1), with how many are greater and equal.
Ranked rank_in(std::vector<float>& values, std::int64_t rank) {
  const auto at = values.begin() + (rank - 1);
  std::nth_element(values.begin(), at, values.end(), std::greater<>());
  Ranked out{*at, 0, 0};
  for (const float v : values) out.greater += v > out.value, out.equal += v == out.value;
  return out;
}

Ranked count_around(const FactoredRows& x, float value, int threads) {
  Collected exact = collect(x, {value, value}, threads);
  return {value, exact.above, static_cast<std::int64_t>(exact.inside.size())};
}

Ranked kth_magnitude(const FactoredRows& x, std::int64_t k, int threads) {
  const Bracket range =
      x.rows() * x.cols() <= kSmall ? Bracket{0.0f, std::numeric_limits<float>::infinity()} : sample_bracket(x, k);
  if (range.low > 0.0f || x.rows() * x.cols() <= kSmall) {
    Collected found = collect(x, range, threads);
    const std::int64_t wanted = k - found.above;
    if (wanted >= 1 && wanted <= static_cast<std::int64_t>(found.inside.size())) {
      Ranked out = rank_in(found.inside, wanted);
      out.greater += found.above;
      return out;
    }
  }
  return count_around(x, kth_by_histogram(x, k, threads), threads);
}

}  // namespace

float Threshold::at(std::int64_t flat) const {
  return flat <= last_tie ? value : std::nextafter(value, std::numeric_limits<float>::infinity());
}

Threshold largest_entries(const FactoredRows& x, std::int64_t k, int threads) {
  if (k <= 0) return {std::numeric_limits<float>::infinity(), -1};
  if (k >= x.rows() * x.cols()) return {};
  const Ranked kth = kth_magnitude(x, k, threads);
  Threshold out{kth.value, std::numeric_limits<std::int64_t>::max()};
  const std::int64_t quota = k - kth.greater;
  // Entries that are zero change nothing whether kept or not.
  if (quota < kth.equal && kth.value > 0.0f) out.last_tie = locate_tie(x, kth.value, quota, threads);
  return out;
}

void keep_largest(const Threshold& t, std::int64_t cols, std::int64_t i0, std::int64_t i1, std::int64_t j0,
                  std::int64_t j1, float* out, std::int64_t ldo) {
  const std::int64_t width = j1 - j0;
  const auto apply = kernels().keep_large;
  const bool whole = ldo == width && (t.last_tie < i0 * cols + j0 || t.last_tie >= (i1 - 1) * cols + j1 - 1);
  if (whole) return apply(out, (i1 - i0) * width, t.at(i0 * cols + j0));
  for (std::int64_t i = i0; i < i1; ++i) {
    float* row = out + (i - i0) * ldo;
    const std::int64_t first = i * cols + j0;
    const std::int64_t before = std::clamp<std::int64_t>(t.last_tie - first + 1, 0, width);
    if (t.last_tie == std::numeric_limits<std::int64_t>::max() || before == width)
      apply(row, width, t.value);
    else {
      apply(row, before, t.value);
      apply(row + before, width - before, t.at(first + before));
    }
  }
}

}  // namespace weft::linalg
