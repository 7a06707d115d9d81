#include "eval/bootstrap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string_view>

#include "eval/metric_sums.h"
#include "weft/core/parallel.h"
#include "weft/core/random.h"

namespace weft::eval {

namespace {

constexpr std::int64_t kResamples = 1000;
constexpr double kLowTail = 0.025, kHighTail = 0.975;

/// Terms of all metrics, example by example. Most sums get nothing of an example, so only those that do are kept.
class TermTable {
 public:
  TermTable(const std::vector<Metric>& metrics, const std::vector<data::Example>& examples,
            const std::vector<ExampleResult>& results, size_t labels) {
    for (const Metric& metric : metrics) {
      begins_.push_back(width_);
      width_ += sums_of(metric, labels);
    }
    begins_.push_back(width_);
    for (size_t i = 0; i < results.size(); ++i) {
      for (size_t m = 0; m < metrics.size(); ++m) append(metrics[m], begins_[m], examples[i], results[i]);
      ends_.push_back(terms_.size());
    }
  }

  size_t width() const { return width_; }

  void add(size_t example, std::vector<double>& sums) const {
    for (size_t k = example == 0 ? 0 : ends_[example - 1]; k < ends_[example]; ++k)
      sums[terms_[k].sum] += terms_[k].value;
  }

  double finish(const Metric& metric, size_t index, const std::vector<double>& sums) const {
    const std::span<const double> own(sums.data() + begins_[index], begins_[index + 1] - begins_[index]);
    return finish_metric(metric, own);
  }

 private:
  void append(const Metric& metric, size_t begin, const data::Example& example, const ExampleResult& result) {
    const size_t first = terms_.size();
    append_terms(metric, example, result, terms_);
    for (size_t k = first; k < terms_.size(); ++k) terms_[k].sum += begin;
  }

  size_t width_ = 0;
  std::vector<size_t> begins_;  ///< per metric: its first sum; one more for the end
  std::vector<Term> terms_;
  std::vector<size_t> ends_;  ///< per example
};

/// Sums over `count` examples drawn with replacement.
std::vector<double> resample_sums(const TermTable& table, size_t count, const Philox& random, std::uint64_t resample) {
  std::vector<double> sums(table.width(), 0.0);
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

std::vector<MetricValue> measure(const std::vector<Metric>& metrics, const std::vector<data::Example>& examples,
                                 const std::vector<ExampleResult>& results, size_t labels, std::uint64_t seed,
                                 int threads) {
  const TermTable table(metrics, examples, results, labels);
  std::vector<double> sums(table.width(), 0.0);
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
