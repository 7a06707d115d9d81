#include "flow/search_preselect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "weft/core/error.h"
#include "weft/core/random.h"
#include "weft/eval/screen.h"
#include "weft/flow/runtime.h"

namespace weft::flow {

namespace {

constexpr size_t kMostSamples = 64;  // texts of an adapter that are embedded

eval::SlicedPool slices_of(const Preselection& wanted) {
  eval::SlicedPool out;
  out.count = wanted.pool->size();
  out.attach = [&wanted](size_t begin, size_t end) {
    const auto& all = wanted.pool->adapters();
    std::vector<adapter::Adapter> members(all.begin() + static_cast<std::ptrdiff_t>(begin),
                                          all.begin() + static_cast<std::ptrdiff_t>(end));
    adapter::Pool part(std::move(members));
    part.check_compatible();
    return wanted.model->attach(part);
  };
  return out;
}

/// The texts of NAME.jsonl: what its adapter is good for.
std::vector<std::string> sample_texts(const std::filesystem::path& folder, const std::string& name) {
  const std::filesystem::path file = folder / (name + ".jsonl");
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    throw InputError(
        fmt::format("{}: there are no sample texts of adapter '{}'; every adapter needs a file", file.string(), name));
  const data::Examples examples = data::read_examples(file, {});
  std::vector<std::string> out;
  for (const data::Example& example : examples.list) {
    if (out.size() == kMostSamples) break;
    if (!example.text.empty()) out.push_back(example.text);
  }
  if (out.empty()) throw InputError(fmt::format("{}: all texts are empty", file.string()));
  return out;
}

std::vector<double> similarities(const Preselection& wanted, Log& log) {
  std::vector<std::vector<std::string>> samples;
  for (const adapter::Adapter& member : wanted.pool->adapters())
    samples.push_back(sample_texts(wanted.job->options.samples, member.info().name));
  if (wanted.job->options.encoder.empty()) {
    if (wanted.model->info().kind != model::Kind::kEncoder)
      throw UsageError(fmt::format("{} is no sentence encoder; name one as encoder, to compare texts by",
                                   wanted.model->info().path.string()));
    return eval::by_similarity(*wanted.model, *wanted.tokenizer, *wanted.examples, samples);
  }
  RuntimeOptions opening;
  opening.base = wanted.job->options.encoder;
  opening.threads = wanted.job->runtime.threads;
  const Runtime encoder = open_runtime(opening, log);
  return eval::by_similarity(encoder.model, encoder.tokenizer, *wanted.examples, samples);
}

std::vector<double> drawn_figures(size_t count, std::uint64_t seed) {
  const Philox random(hash_key("preselect", seed));
  std::vector<double> out;
  for (size_t i = 0; i < count; ++i) out.push_back(random.uniform(i));
  return out;
}

/// Larger is better.
std::vector<double> figures_of(const Preselection& wanted, Log& log) {
  if (wanted.job->options.preselect_by == Preselect::kRandom)
    return drawn_figures(wanted.pool->size(), wanted.job->options.seed);
  if (wanted.job->options.preselect_by == Preselect::kSimilarity) return similarities(wanted, log);
  const eval::Objective objective(*wanted.model, *wanted.tokenizer, *wanted.examples, nn::Experts(), nn::Rule::kDelta,
                                  {}, wanted.scoring);
  if (wanted.job->options.preselect_by == Preselect::kGradient && objective.differentiable())
    return eval::promises(eval::first_order(objective, slices_of(wanted)), wanted.job->options.space.lower < 0);
  if (wanted.job->options.preselect_by == Preselect::kGradient)
    log.warning(fmt::format("{} has no gradient; adapters are preselected by their scores alone",
                            wanted.job->options.objective.metric));
  std::vector<double> out = eval::alone(objective, slices_of(wanted));
  for (double& figure : out) figure = -figure;
  return out;
}

}  // namespace

std::vector<size_t> preselect(const Preselection& wanted, std::int64_t keep, Log& log) {
  log.info(fmt::format("choosing {} of {} adapters", keep, wanted.pool->size()));
  return eval::choose_best(figures_of(wanted, log), static_cast<size_t>(keep));
}

}  // namespace weft::flow
