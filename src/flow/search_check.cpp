#include "flow/search_check.h"

#include <fmt/format.h>

#include "weft/core/error.h"
#include "weft/eval/metric.h"
#include "weft/search/optimizer.h"

namespace weft::flow {

namespace {

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

/// What would change nothing is not taken silently.
void check_ignored(const SearchOptions& o, bool gradients) {
  using search::Granularity;
  const SearchOptions usual;
  if (o.optimizer.learning_rate > 0 && o.method != "gradient")
    throw UsageError(fmt::format("learning_rate is of method gradient, and the method is {}", o.method));
  const bool has_blocks = o.granularity
                              ? *o.granularity == Granularity::kLayerBlock || *o.granularity == Granularity::kBlockKind
                              : o.method == "auto" && gradients;
  if (o.space.layer_blocks != usual.space.layer_blocks && !has_blocks)
    throw UsageError("layer_blocks is of granularity layer_block and block_kind; set one of them");
  const search::Method& method = search::find_method(o.method);
  if (o.optimizer.population > 0 && !method.population)
    throw UsageError(fmt::format("method {} has no population; leave population out", o.method));
  if (o.optimizer.step > 0 && !method.step)
    throw UsageError(fmt::format("method {} has no first step to set; leave step out", o.method));
  if (o.race > 0 && (o.method == "gradient" || (o.method == "auto" && gradients)))
    throw UsageError(
        fmt::format("race drops candidates of a population, and method {} follows gradients from one "
                    "point to the next; choose another method, such as screened or cma_es",
                    o.method));
  if (o.race > 0 && eval::find_metric(o.objective.metric).needs == eval::Metric::Needs::kAnswer)
    throw UsageError(
        fmt::format("race compares likelihoods, and {} is of generated answers, which have none", o.objective.metric));
}

void check_custom(const SearchJob& job) {
  const SearchOptions& o = job.options;
  if (!job.data.empty()) throw UsageError("there are both examples and a custom objective; give one of them");
  if (o.validation > 0 || !o.held_out.empty() || o.race > 0)
    throw UsageError("validation, held_out and race are of examples; a custom objective has none");
  if (search::find_method(o.method).gradients)
    throw UsageError(fmt::format("method {} needs gradients, which a custom objective has not", o.method));
}

}  // namespace

bool has_gradient(const SearchOptions& options) {
  return options.objective.metric == "loss" || options.objective.metric == "perplexity";
}

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
  check_ignored(o, job.custom == nullptr && has_gradient(o));
  if (has_regularizer(o) && job.custom != nullptr && o.prior.value_or(0) > 0)
    throw UsageError("prior counts examples, and a custom objective has none; use l2");
}

}  // namespace weft::flow
