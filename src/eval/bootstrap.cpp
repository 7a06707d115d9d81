#include "eval/bootstrap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "weft/core/parallel.h"
#include "weft/core/random.h"

namespace weft::eval {

namespace {

constexpr std::int64_t kResamples = 1000;
constexpr double kLowTail = 0.025, kHighTail = 0.975;

/// Terms of all metrics, example by example.
struct TermTable {
  size_t width = 0;
  std::vector<size_t> begins;  ///< per metric: its first column; one more for the end
  std::vector<double> rows;

  TermTable(const std::vector<Metric>& metrics, const std::vector<ExampleResult>& results) {
    for (const ExampleResult& result : results) {
      begins.clear();
      width = 0;
      for (const Metric& metric : metrics) {
        const std::vector<double> terms = metric.terms(result);
        rows.insert(rows.end(), terms.begin(), terms.end());
        begins.push_back(width);
        width += terms.size();
      }
      begins.push_back(width);
    }
  }

  void add(size_t example, std::vector<double>& sums) const {
    const double* row = rows.data() + example * width;
    for (size_t k = 0; k < width; ++k) sums[k] += row[k];
  }

  double finish(const Metric& metric, size_t index, const std::vector<double>& sums) const {
    return metric.finish({sums.data() + begins[index], begins[index + 1] - begins[index]});
  }
};

/// Sums over `count` examples drawn with replacement.
std::vector<double> resample_sums(const TermTable& table, size_t count, const Philox& random, std::uint64_t resample) {
  std::vector<double> sums(table.width, 0.0);
  for (size_t i = 0; i < count; i += 2) {
    const std::array<std::uint32_t, 4> words = random.block(i / 2, resample);
    for (size_t half = 0; half < 2 && i + half < count; ++half) {
      const std::uint64_t word = std::uint64_t{words[2 * half]} << 32U | words[2 * half + 1];
      table.add(static_cast<size_t>(static_cast<unsigned __int128>(word) * count >> 64U), sums);
    }
  }
  return sums;
}

/// The value below which the part `tail` of the numbers lies, interpolated.
double quantile_of(std::vector<double> numbers, double tail) {
  std::sort(numbers.begin(), numbers.end());
  const double at = tail * static_cast<double>(numbers.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, numbers.size() - 1);
  if (numbers[below] == numbers[above]) return numbers[below];  // infinities too
  return numbers[below] + (at - static_cast<double>(below)) * (numbers[above] - numbers[below]);
}

}  // namespace

std::vector<MetricValue> measure(const std::vector<Metric>& metrics, const std::vector<ExampleResult>& results,
                                 std::uint64_t seed, int threads) {
  const TermTable table(metrics, results);
  std::vector<double> sums(table.width, 0.0);
  for (size_t i = 0; i < results.size(); ++i) table.add(i, sums);
  std::vector<std::vector<double>> drawn(metrics.size(), std::vector<double>(kResamples));
  const Philox random(hash_key("bootstrap", seed));
  parallel_for(kResamples, threads, [&](std::int64_t r) {
    const std::vector<double> drawn_sums = resample_sums(table, results.size(), random, static_cast<std::uint64_t>(r));
    for (size_t m = 0; m < metrics.size(); ++m)
      drawn[m][static_cast<size_t>(r)] = table.finish(metrics[m], m, drawn_sums);
  });
  std::vector<MetricValue> out;
  for (size_t m = 0; m < metrics.size(); ++m)
    out.push_back({std::string(metrics[m].name), table.finish(metrics[m], m, sums), quantile_of(drawn[m], kLowTail),
                   quantile_of(drawn[m], kHighTail)});
  return out;
}

}  // namespace weft::eval
