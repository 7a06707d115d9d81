#include "flow/search_setup.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "flow/search_preselect.h"
#include "weft/core/random.h"
#include "weft/data/draw.h"
#include "weft/eval/evaluate.h"
#include "weft/eval/metric.h"
#include "weft/flow/runtime.h"

namespace weft::flow {

namespace {

/// A pool larger than this is narrowed unless the user says otherwise.
constexpr std::int64_t kLargePool = 64;

std::string label_text_of(const data::Example& example) {
  return example.label.empty() ? std::to_string(example.label_index) : example.label;
}

/// Indices of `count` examples to hold out; of labelled texts as evenly over the labels as can be, one of each stays.
std::vector<bool> choose_held_out(const data::Examples& examples, double share, std::uint64_t seed) {
  const size_t total = examples.list.size();
  const auto count = static_cast<size_t>(share * static_cast<double>(total) + 0.5);
  const Philox random(hash_key("held out", seed));
  std::vector<size_t> order(total);
  for (size_t i = 0; i < total; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return random.uniform(a) < random.uniform(b); });
  const auto label = [&](size_t i) { return label_text_of(examples.list[i]); };
  std::map<std::string, size_t> left, taken;
  for (size_t i = 0; i < total; ++i) ++left[label(i)];
  std::vector<bool> out(total, false);
  const bool labelled = examples.kind == data::Kind::kLabel;
  for (size_t chosen = 0; chosen < count;) {
    const size_t before = chosen;
    size_t fewest = total;  // takers of the label that gave least so far
    for (const size_t i : order)
      if (!out[i] && (!labelled || left[label(i)] > 1)) fewest = std::min(fewest, labelled ? taken[label(i)] : 0);
    for (const size_t i : order) {
      if (chosen == count || out[i]) continue;
      if (labelled && (left[label(i)] <= 1 || taken[label(i)] > fewest)) continue;
      out[i] = true, ++chosen;
      --left[label(i)], ++taken[label(i)];
      if (labelled) break;
    }
    if (chosen == before) break;  // one of each label is left
  }
  return out;
}

SearchExamples split_examples(data::Examples all, double share, std::uint64_t seed) {
  if (all.list.size() < 2)
    throw InputError(fmt::format("{}: has one example; none can be held out of it", all.file.string()));
  const std::vector<bool> held = choose_held_out(all, share, seed);
  SearchExamples out;
  out.fit = all, out.held_out = all;
  out.fit->list.clear(), out.held_out->list.clear();
  for (size_t i = 0; i < held.size(); ++i) (held[i] ? out.held_out : out.fit)->list.push_back(std::move(all.list[i]));
  if (out.held_out->list.empty() || out.fit->list.empty())
    throw InputError(fmt::format("{}: validation of {} leaves {} of {} examples to hold out; give more examples",
                                 all.file.string(), share, out.held_out->list.size(), held.size()));
  return out;
}

bool has_regularizer(const SearchOptions& o) {
  return o.l1 > 0 || o.l2 > 0 || o.uniform > 0 || o.prior.value_or(0) > 0;
}

void check_held_out(const SearchJob& job) {
  const SearchOptions& o = job.options;
  if (o.validation > 0 && !o.held_out.empty())
    throw UsageError("validation and held_out both name held-out examples; give one of them");
  if (o.patience > 0 && o.validation == 0 && o.held_out.empty())
    throw UsageError("patience watches held-out examples, and there are none; set validation or held_out");
}

void check_preselection(const SearchJob& job) {
  const SearchOptions& o = job.options;
  const bool similar = o.preselect_by == Preselect::kSimilarity;
  if (similar && o.samples.empty())
    throw UsageError("preselect_by similarity compares sample texts; name their folder as samples");
  if (!similar && (!o.samples.empty() || !o.encoder.empty()))
    throw UsageError("samples and encoder are of preselect_by similarity");
  if (o.preselect == 0 && static_cast<std::int64_t>(job.runtime.adapters.size()) <= kLargePool &&
      o.preselect_by != Preselect::kGradient)
    throw UsageError("preselect_by says how, but not how many; set preselect");
}

void check_custom(const SearchJob& job) {
  const SearchOptions& o = job.options;
  if (!job.data.empty()) throw UsageError("there are both examples and a custom objective; give one of them");
  if (o.validation > 0 || !o.held_out.empty() || o.race > 0)
    throw UsageError("validation, held_out and race are of examples; a custom objective has none");
  if (search::find_method(o.method).gradients)
    throw UsageError(fmt::format("method {} needs gradients, which a custom objective has not", o.method));
}

search::Space make_space(const nn::Experts& experts, const SearchJob& job, bool gradients) {
  search::SpaceOptions options = job.options.space;
  const bool blocks = job.options.method == "auto" && gradients;
  options.granularity =
      job.options.granularity.value_or(blocks ? search::Granularity::kLayerBlock : search::Granularity::kAdapter);
  return search::Space(experts.names(), experts.modules(), options);
}

/// Dealt out label by label, one label going on where the one before ended: folds are of one size and of like
/// composition.
std::vector<size_t> deal_examples(const data::Examples& examples) {
  std::map<std::string, std::vector<size_t>> by_label;
  for (size_t i = 0; i < examples.list.size(); ++i) by_label[label_text_of(examples.list[i])].push_back(i);
  std::vector<size_t> out(examples.list.size());
  size_t next = 0;
  for (const auto& [label, members] : by_label)
    for (const size_t i : members) out[i] = next++;
  return out;
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

void check_search(const SearchJob& job) {
  const SearchOptions& o = job.options;
  if (job.runtime.base.empty()) throw UsageError("no base model: name its folder (--base, base_model)");
  if (job.runtime.adapters.empty()) throw UsageError("no adapters: name their folder (--pool, pool) or each of them");
  if (job.output.empty()) throw UsageError("no output: name the folder to write (-o, output)");
  if (o.budget < 1)
    throw UsageError(fmt::format("a budget of {} evaluations finds nothing; give at least 1", o.budget));
  search::find_method(o.method);
  if (job.custom != nullptr)
    check_custom(job);
  else if (job.data.empty())
    throw UsageError("no examples: name their file (--examples, examples)");
  check_held_out(job);
  check_preselection(job);
  if (o.objective.normalization != eval::Normalization::kToken && o.objective.metric != "loss")
    throw UsageError(fmt::format("normalization is of the loss, and the metric is {}", o.objective.metric));
  if (o.objective.lorahub_batch > 0 && o.objective.normalization != eval::Normalization::kLoraHub)
    throw UsageError("lorahub_batch is of normalization lorahub");
  if (o.race > 0 && o.method == "gradient") throw UsageError("race drops candidates, and method gradient has one only");
  if (has_regularizer(o) && job.custom != nullptr && o.prior.value_or(0) > 0)
    throw UsageError("prior counts examples, and a custom objective has none; use l2");
}

SearchExamples read_search_examples(const SearchJob& job) {
  SearchExamples out;
  if (job.custom != nullptr) return out;
  data::Examples all = data::read_examples(job.data, job.reading);
  eval::choose_metrics({job.options.objective.metric}, all.kind);
  if (job.options.shots > 0) all = data::draw(all, job.options.shots, job.options.seed);
  if (job.options.validation > 0) return split_examples(std::move(all), job.options.validation, job.options.seed);
  out.fit = std::move(all);
  if (job.options.held_out.empty()) return out;
  out.held_out = data::read_examples(job.options.held_out, job.reading);
  if (out.held_out->kind != out.fit->kind)
    throw InputError(fmt::format("{} has {} examples and {} has {} examples; they must be of one kind",
                                 job.data.string(), data::kind_name(out.fit->kind), job.options.held_out.string(),
                                 data::kind_name(out.held_out->kind)));
  return out;
}

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
  if (examples.fit && examples.fit->kind == data::Kind::kLabel && scoring.eval.labels.empty())
    scoring.eval.labels = examples.fit->labels;  // the held-out ones choose among the same
  scoring.eval.append_end = job.options.append_end && examples.fit && has_answers(*examples.fit) &&
                            runtime.model.info().kind == model::Kind::kCausal && has_end(runtime);
  const std::int64_t keep = job.options.preselect > 0
                                ? job.options.preselect
                                : (static_cast<std::int64_t>(pool.size()) > kLargePool ? kLargePool : 0);
  if (keep > 0 && keep < static_cast<std::int64_t>(pool.size())) {
    if (!examples.fit && job.options.preselect_by != Preselect::kRandom)
      throw UsageError("preselection looks at examples; a custom objective has none");
    const Preselection wanted{&runtime.model, &runtime.tokenizer, examples.fit ? &*examples.fit : nullptr, &pool, &job,
                              scoring};
    const std::vector<size_t> kept = preselect(wanted, keep, log);
    std::vector<adapter::Adapter> members;
    for (const size_t index : kept) members.push_back(pool.adapters()[index]);
    pool = adapter::Pool(std::move(members));
    pool.check_compatible();
  }
  for (const std::string& text : pool.warnings()) log.warning(text);
  std::vector<adapter::Pool::Source> sources;
  for (const adapter::Adapter& member : pool.adapters()) sources.push_back({member.info().path, member.info().name});
  nn::Experts experts = runtime.model.attach(pool, log);
  const bool gradients = examples.fit && (scoring.metric == "loss" || scoring.metric == "perplexity");
  search::Space space = make_space(experts, job, gradients);
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
