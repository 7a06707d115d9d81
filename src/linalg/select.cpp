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

/// A range of magnitudes that holds the k-th largest with high probability (four standard deviations of the
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

/// Magnitudes above a bracket, counted, and those inside it, kept tile by tile.
struct Collected {
  std::int64_t above = 0;
  std::vector<std::vector<float>> inside;

  std::int64_t equal_in(size_t tile, float value) const {
    return std::count(inside[tile].begin(), inside[tile].end(), value);
  }
  std::vector<float> all() const {
    std::vector<float> out;
    size_t total = 0;
    for (const auto& part : inside) total += part.size();
    out.reserve(total);
    for (const auto& part : inside) out.insert(out.end(), part.begin(), part.end());
    return out;
  }
};

Collected collect(const FactoredRows& x, const Bracket& range, int threads) {
  Collected out;
  out.inside.resize(static_cast<size_t>(tile_count(x.rows())));
  std::vector<std::int64_t> above(out.inside.size(), 0);
  parallel_for(static_cast<std::int64_t>(above.size()), threads, [&](std::int64_t tile) {
    const auto t = static_cast<size_t>(tile);
    std::vector<float> found(kBlockRows * kBlockCols);
    for_blocks(x, tile, [&](std::int64_t, std::int64_t, std::int64_t rows, std::int64_t cols, const float* block) {
      const std::int64_t n = kernels().bracket(block, rows * cols, range.low, range.high, &above[t], found.data());
      out.inside[t].insert(out.inside[t].end(), found.begin(), found.begin() + n);
    });
  });
  for (const std::int64_t count : above) out.above += count;
  return out;
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

/// The flat index of the `quota`-th entry of one tile whose magnitude equals `value`.
std::int64_t locate_tie(const FactoredRows& x, std::int64_t tile, float value, std::int64_t quota) {
  std::vector<std::int64_t> places;
  for_blocks(x, tile, [&](std::int64_t i0, std::int64_t j0, std::int64_t rows, std::int64_t cols, const float* block) {
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < cols; ++j)
        if (std::fabs(block[i * cols + j]) == value) places.push_back((i0 + i) * x.cols() + j0 + j);
  });
  std::sort(places.begin(), places.end());
  return places[static_cast<size_t>(quota - 1)];
}

/// The `rank`-th largest (from 1) of what was collected; the tie among equals is looked for in its tile alone.
Threshold threshold_in(const FactoredRows& x, const Collected& found, std::int64_t rank) {
  std::vector<float> values = found.all();
  const auto at = values.begin() + (rank - 1);
  std::nth_element(values.begin(), at, values.end(), std::greater<>());
  Threshold out{*at, std::numeric_limits<std::int64_t>::max()};
  // Entries that are zero change nothing whether kept or not.
  if (out.value == 0.0f) return out;
  std::int64_t quota = rank, equal = 0;
  for (const float v : values) quota -= v > out.value, equal += v == out.value;
  if (quota == equal) return out;
  size_t tile = 0;
  for (std::int64_t n; (n = found.equal_in(tile, out.value)) < quota; ++tile) quota -= n;
  out.last_tie = locate_tie(x, static_cast<std::int64_t>(tile), out.value, quota);
  return out;
}

}  // namespace

float Threshold::at(std::int64_t flat) const {
  return flat <= last_tie ? value : std::nextafter(value, std::numeric_limits<float>::infinity());
}

Threshold largest_entries(const FactoredRows& x, std::int64_t k, int threads) {
  if (k <= 0) return {std::numeric_limits<float>::infinity(), -1};
  if (k >= x.rows() * x.cols()) return {};
  const bool small = x.rows() * x.cols() <= kSmall;
  const Bracket range = small ? Bracket{0.0f, std::numeric_limits<float>::infinity()} : sample_bracket(x, k);
  if (small || range.low > 0.0f) {
    const Collected found = collect(x, range, threads);
    std::int64_t inside = 0;
    for (const auto& part : found.inside) inside += static_cast<std::int64_t>(part.size());
    if (k > found.above && k <= found.above + inside) return threshold_in(x, found, k - found.above);
  }
  const float kth = kth_by_histogram(x, k, threads);
  if (kth == 0.0f) return {0.0f, std::numeric_limits<std::int64_t>::max()};
  const Collected exact = collect(x, {kth, kth}, threads);
  return threshold_in(x, exact, k - exact.above);
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
