#include "flow/search_setup.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "eval/similarity.h"
#include "flow/search_check.h"
#include "flow/search_examples.h"
#include "flow/search_preselect.h"
#include "weft/flow/runtime.h"

namespace weft::flow {

namespace {

/// Steps in more weights than this take longer than small models do.
constexpr size_t kMostFineWeights = 600;

/// Adds the adapters that fixed, tied or start speak of to those that are kept.
void keep_named(const search::SpaceOptions& options, const adapter::Pool& pool, std::vector<size_t>& kept) {
  std::set<std::string> named;
  for (const auto& [name, weight] : options.fixed) named.insert(name);
  for (const auto& [name, weight] : options.starts) named.insert(name);
  for (const auto& group : options.tied) named.insert(group.begin(), group.end());
  for (size_t i = 0; i < pool.size(); ++i)
    if (named.count(pool.adapters()[i].info().name) > 0 && std::find(kept.begin(), kept.end(), i) == kept.end())
      kept.push_back(i);
  std::sort(kept.begin(), kept.end());
}

/// The pool, or those of a large one that look promising.
adapter::Pool narrowed(adapter::Pool pool, const Runtime& runtime, const SearchExamples& examples, const SearchJob& job,
                       const eval::ObjectiveOptions& scoring, Log& log) {
  const auto size = static_cast<std::int64_t>(pool.size());
  const std::int64_t keep = job.options.preselect > 0 ? job.options.preselect : size > kLargePool ? kLargePool : 0;
  if (keep == 0 || keep >= size) return pool;
  if (!examples.fit && job.options.preselect_by != Preselect::kRandom)
    throw UsageError("preselection looks at examples; a custom objective has none");
  const Preselection wanted{&runtime.model, &runtime.tokenizer, examples.fit ? &*examples.fit : nullptr, &pool, &job,
                            scoring};
  std::vector<size_t> kept = preselect(wanted, keep, log);
  keep_named(job.options.space, pool, kept);
  std::vector<adapter::Adapter> members;
  for (const size_t index : kept) members.push_back(pool.adapters()[index]);
  adapter::Pool out(std::move(members));
  out.check_compatible();
  return out;
}

/// A tensor that replaces the base's is there or not: its weight cannot be searched.
void check_full_tensors(const adapter::Pool& pool, const search::SpaceOptions& options) {
  for (const adapter::Adapter& member : pool.adapters()) {
    if (member.full_tensors().empty()) continue;
    const std::string& name = member.info().name;
    const auto fixed = std::find_if(options.fixed.begin(), options.fixed.end(),
                                    [&](const auto& entry) { return entry.first == name; });
    if (fixed != options.fixed.end() && (fixed->second == 0.0 || fixed->second == 1.0)) continue;
    throw UsageError(
        fmt::format("adapter '{}' replaces {}, which can only be taken whole or not at all; fix its weight at 1 or 0 "
                    "(fixed: {}=1), or make the adapter one without full tensors (weft merge, full_tensors: drop)",
                    name, member.full_tensors().front().name, name));
  }
}

/// The finest weights that `auto` can follow gradients of.
search::Space make_space(const nn::Experts& experts, const SearchJob& job, bool gradients) {
  using search::Granularity;
  search::SpaceOptions options = job.options.space;
  options.granularity = job.options.granularity.value_or(Granularity::kAdapter);
  if (job.options.granularity || job.options.method != "auto" || !gradients)
    return search::Space(experts.names(), experts.modules(), options);
  for (const Granularity fine : {Granularity::kBlockKind, Granularity::kKind, Granularity::kLayerBlock}) {
    options.granularity = fine;
    try {
      search::Space space(experts.names(), experts.modules(), options);
      if (space.size() <= kMostFineWeights) return space;
    } catch (const UsageError&) {
      // Names without layers: the next one, or what is wrong with the options is said in the end.
    }
  }
  options.granularity = Granularity::kAdapter;
  return search::Space(experts.names(), experts.modules(), options);
}

bool has_answers(const data::Examples& examples) {
  return examples.kind == data::Kind::kCompletion || examples.kind == data::Kind::kChoice;
}

bool has_end(const Runtime& runtime) {
  return !runtime.model.info().end_tokens.empty() || runtime.tokenizer.eos().has_value();
}

std::vector<std::int64_t> groups_of(const search::Space& space) {
  return space.groups() > 1 ? space.group_of_module() : std::vector<std::int64_t>{};
}

}  // namespace

SearchSetup open_search(const SearchJob& job, Log& log) {
  SearchExamples examples = read_search_examples(job);
  RuntimeOptions opening = job.runtime;
  opening.adapters.clear();
  opening.weights.clear();
  Runtime runtime = open_runtime(opening, log);
  adapter::Pool pool = adapter::Pool::open(job.runtime.adapters);
  pool.check_compatible();
  eval::ObjectiveOptions scoring = job.options.objective;
  scoring.eval.threads = job.runtime.threads;
  scoring.eval.log = &log;
  if (examples.fit && eval::uses_similarity(*examples.fit, runtime.model.info()) && scoring.eval.labels.empty())
    scoring.eval.labels = examples.fit->labels;  // the held-out ones choose among the same
  scoring.eval.append_end = job.options.append_end && examples.fit && has_answers(*examples.fit) &&
                            runtime.model.info().kind == model::Kind::kCausal && has_end(runtime);
  pool = narrowed(std::move(pool), runtime, examples, job, scoring, log);
  for (const std::string& text : pool.warnings()) log.warning(text);
  std::vector<adapter::Pool::Source> sources;
  for (const adapter::Adapter& member : pool.adapters()) sources.push_back({member.info().path, member.info().name});
  nn::Experts experts = runtime.model.attach(pool, log);
  const bool gradients = examples.fit && has_gradient(job.options);
  search::Space space = make_space(experts, job, gradients);
  check_full_tensors(pool, job.options.space);
  SearchSetup out{runtime.model, runtime.tokenizer, std::move(sources), experts, std::move(space), {}, {}, {}};
  const auto objective = [&](const data::Examples& list) {
    return eval::Objective(out.model, out.tokenizer, list, out.experts, job.options.rule, groups_of(out.space),
                           scoring);
  };
  if (examples.fit) {
    out.fold_of = deal_examples(*examples.fit);
    out.fit.emplace(objective(*examples.fit));
  }
  if (examples.held_out) out.held_out.emplace(objective(*examples.held_out));
  return out;
}

model::Composition composition_of(const SearchSetup& setup, nn::Rule rule, const eval::Weights& weights) {
  const auto count = static_cast<std::int64_t>(setup.space.adapters().size());
  const auto groups = static_cast<std::int64_t>(setup.space.groups());
  nn::Mix mix;
  mix.rule = rule;
  mix.weights = at::tensor(at::ArrayRef<double>(weights), at::kDouble).to(at::kFloat).view({1, groups, count});
  if (groups == 1)
    mix.weights = mix.weights.view({1, count});
  else
    mix.group_of_module = setup.space.group_of_module();
  return {setup.experts, std::move(mix)};
}

}  // namespace weft::flow
