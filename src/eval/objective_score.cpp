#include "eval/objective_score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "eval/metric_sums.h"

namespace weft::eval {

namespace {

double metric_of(const ScoreRule& rule, const std::vector<data::Example>& examples,
                 const std::vector<ExampleResult>& results, const std::vector<size_t>& part) {
  std::vector<double> sums(sums_of(rule.metric, rule.labels), 0.0);
  std::vector<Term> terms;
  for (size_t i = 0; i < part.size(); ++i) {
    terms.clear();
    append_terms(rule.metric, examples[part[i]], results[i], terms);
    for (const Term& term : terms) sums[term.sum] += term.value;
  }
  return finish_metric(rule.metric, sums);
}

}  // namespace

void check_normalization(const Metric& metric, const ObjectiveOptions& options) {
  const bool lorahub = options.normalization == Normalization::kLoraHub;
  if (options.normalization != Normalization::kToken && metric.name != "loss")
    throw UsageError(
        fmt::format("the normalization '{}' is of the metric 'loss', and '{}' is asked for; leave one of them out",
                    lorahub ? "lorahub" : "example", metric.name));
  if (options.lorahub_batch < 0)
    throw UsageError(
        fmt::format("lorahub_batch is {}, expected at least 0 (0: all examples in one batch)", options.lorahub_batch));
  if (options.lorahub_batch > 0 && !lorahub)
    throw UsageError("lorahub_batch is of the normalization 'lorahub'; ask for that, or leave it out");
}

std::vector<double> loss_factors(const ScoreRule& rule, const std::vector<std::int64_t>& tokens) {
  const size_t count = tokens.size();
  const auto examples = static_cast<double>(count);
  std::vector<double> out(count);
  if (rule.normalization == Normalization::kExample) {
    for (size_t i = 0; i < count; ++i) out[i] = 1.0 / (static_cast<double>(tokens[i]) * examples);
    return out;
  }
  const bool lorahub = rule.normalization == Normalization::kLoraHub;
  const size_t batch = lorahub && rule.lorahub_batch > 0 ? static_cast<size_t>(rule.lorahub_batch) : count;
  for (size_t begin = 0; begin < count;) {
    const size_t end = batch < count - begin ? begin + batch : count;
    const auto sum =
        static_cast<double>(std::accumulate(tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                                            tokens.begin() + static_cast<std::ptrdiff_t>(end), std::int64_t{0}));
    for (; begin < end; ++begin) out[begin] = 1.0 / (lorahub ? sum * examples : sum);
  }
  return out;
}

double score_of(const ScoreRule& rule, const std::vector<data::Example>& examples,
                const std::vector<ExampleResult>& results, const std::vector<size_t>& part) {
  const bool finite =
      std::all_of(results.begin(), results.end(), [](const ExampleResult& one) { return std::isfinite(one.nll); });
  if (!finite) return std::numeric_limits<double>::quiet_NaN();
  if (rule.normalization == Normalization::kToken) {
    const double value = metric_of(rule, examples, results, part);
    return rule.metric.lower_is_better ? value : -value;
  }
  std::vector<std::int64_t> tokens;
  for (const ExampleResult& result : results) tokens.push_back(result.tokens);
  const std::vector<double> factors = loss_factors(rule, tokens);
  double sum = 0;
  for (size_t i = 0; i < results.size(); ++i) sum += factors[i] * results[i].nll;
  return sum;
}

}  // namespace weft::eval
