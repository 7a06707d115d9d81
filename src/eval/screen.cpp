#include "weft/eval/screen.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace weft::eval {

namespace {

using Figures = std::function<std::vector<double>(const Objective&)>;

std::vector<double> slice_figures(const Objective& objective, const SlicedPool& pool, size_t begin, size_t end,
                                  const Figures& figures) {
  const Objective slice = objective.with_experts(pool.attach(begin, end));
  if (slice.adapters() != end - begin)
    throw UsageError(fmt::format("the slice of the adapters {} to {} has {}", begin, end - 1, slice.adapters()));
  return figures(slice);
}

/// Figures of the adapters [begin, end). What is not finite may have spoiled its neighbours: the slice is halved.
void append_figures(const Objective& objective, const SlicedPool& pool, size_t begin, size_t end,
                    const Figures& figures, std::vector<double>& out) {
  const std::vector<double> part = slice_figures(objective, pool, begin, end, figures);
  const bool finite = std::none_of(part.begin(), part.end(), [](double figure) { return std::isnan(figure); });
  if (finite || end - begin == 1) {
    out.insert(out.end(), part.begin(), part.end());
    return;
  }
  const size_t middle = begin + (end - begin) / 2;
  append_figures(objective, pool, begin, middle, figures, out);
  append_figures(objective, pool, middle, end, figures, out);
}

/// Figures of all slices, end to end.
std::vector<double> by_slices(const Objective& objective, const SlicedPool& pool, const Figures& figures) {
  if (pool.slice < 1) throw UsageError("a slice of 0 adapters, expected at least 1");
  std::vector<double> out;
  while (out.size() < pool.count)
    append_figures(objective, pool, out.size(), out.size() + std::min(pool.slice, pool.count - out.size()), figures,
                   out);
  return out;
}

/// The mean of the embeddings, length 1.
Tensor mean_direction(const Tensor& rows) {
  const Tensor mean = rows.to(at::kDouble).mean(0);
  return mean / mean.norm().clamp_min(1e-12);
}

}  // namespace

std::vector<double> first_order(const Objective& objective) {
  const Objective plain = objective.with_experts(objective.experts());  // one group, the rule delta
  Slope slope = plain.slope(Weights(plain.adapters(), 0.0));
  for (double& derivative : slope.gradient)
    if (!std::isfinite(derivative)) derivative = std::numeric_limits<double>::quiet_NaN();
  return std::move(slope.gradient);
}

std::vector<double> first_order(const Objective& objective, const SlicedPool& pool) {
  return by_slices(objective, pool, [](const Objective& slice) { return first_order(slice); });
}

std::vector<double> alone(const Objective& objective, double weight) {
  const size_t adapters = objective.adapters();
  std::vector<Weights> candidates(adapters, Weights(objective.groups() * adapters, 0.0));
  for (size_t i = 0; i < adapters; ++i)
    for (size_t group = 0; group < objective.groups(); ++group) candidates[i][group * adapters + i] = weight;
  std::vector<double> out;
  for (const Candidate& candidate : objective.evaluate(candidates)) out.push_back(candidate.score);
  return out;
}

std::vector<double> alone(const Objective& objective, const SlicedPool& pool, double weight) {
  return by_slices(objective, pool, [&](const Objective& slice) { return alone(slice, weight); });
}

std::vector<double> by_similarity(const model::BaseModel& encoder, const text::Tokenizer& tokenizer,
                                  const data::Examples& examples, const std::vector<std::vector<std::string>>& samples,
                                  const EmbedOptions& options) {
  if (examples.list.empty())
    throw UsageError(fmt::format("{}: there are no examples, expected at least one", examples.file.string()));
  for (size_t i = 0; i < samples.size(); ++i)
    if (samples[i].empty()) throw UsageError(fmt::format("adapter {}, counted from 0, has no sample texts", i));
  EmbedOptions cut = options;
  if (cut.max_tokens == 0) cut.max_tokens = max_sequence_length(encoder.info().path);
  std::vector<std::string> texts;
  for (const data::Example& example : examples.list) texts.push_back(example.text);
  cut.source = examples.file.string();
  const Tensor wanted = mean_direction(embed(encoder, tokenizer, texts, {}, cut));
  std::vector<double> out;
  for (size_t i = 0; i < samples.size(); ++i) {
    cut.source = fmt::format("sample texts of adapter {}", i);
    out.push_back(mean_direction(embed(encoder, tokenizer, samples[i], {}, cut)).dot(wanted).item<double>());
  }
  return out;
}

std::vector<double> promises(const std::vector<double>& derivatives, bool negative_weights) {
  std::vector<double> out;
  for (const double derivative : derivatives) out.push_back(negative_weights ? std::abs(derivative) : -derivative);
  return out;
}

std::vector<size_t> choose_best(const std::vector<double>& scores, size_t count) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (std::isnan(scores[a]) || std::isnan(scores[b])) return !std::isnan(scores[a]) && std::isnan(scores[b]);
    return scores[a] > scores[b];
  });
  order.resize(std::min(count, order.size()));
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace weft::eval
