#include "flow/search_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/staged.h"
#include "flow/facts.h"
#include "flow/output_check.h"
#include "flow/search_values.h"
#include "io/sha256.h"
#include "weft/flow/compose.h"
#include "weft/merge/spec.h"

namespace weft::flow {

namespace {

Value numbers_of(const std::vector<double>& numbers) {
  Value out = Value::make_list();
  for (const double number : numbers) out.list.push_back(finite_or_null(number));
  return out;
}

Value names_of(const std::vector<std::string>& names) {
  Value out = Value::make_list();
  for (const std::string& name : names) out.list.push_back(Value::text(name));
  return out;
}

/// {adapter: weight}, or {group: {adapter: weight}}.
Value weights_record(const SearchReport& report) {
  const size_t count = report.adapters.size();
  const auto of_group = [&](size_t group) {
    Value out = Value::make_map();
    for (size_t i = 0; i < count; ++i) out.set(report.adapters[i], Value::of(report.weights[group * count + i]));
    return out;
  };
  if (report.groups.size() == 1) return of_group(0);
  Value out = Value::make_map();
  for (size_t g = 0; g < report.groups.size(); ++g) out.set(report.groups[g], of_group(g));
  return out;
}

Value rivals_record(const SearchReport& report) {
  Value out = Value::make_list();
  for (const SearchRival& rival : report.rivals) {
    Value entry = Value::make_map();
    entry.set("name", Value::text(rival.name));
    entry.set("score", finite_or_null(rival.score));
    if (rival.held_out) entry.set("held_out", finite_or_null(*rival.held_out));
    out.list.push_back(std::move(entry));
  }
  return out;
}

Value history_record(const SearchReport& report) {
  Value out = Value::make_list();
  for (const SearchTrial& trial : report.trials) {
    Value entry = Value::make_map();
    entry.set("phase", Value::text(trial.phase));
    entry.set("point", numbers_of(trial.point));
    entry.set("score", finite_or_null(trial.score));
    if (trial.part.empty()) entry.set("total", finite_or_null(trial.total));
    if (!trial.part.empty()) entry.set("part", Value::text(trial.part));
    if (trial.held_out) entry.set("held_out", finite_or_null(*trial.held_out));
    out.list.push_back(std::move(entry));
  }
  return out;
}

bool is_unused(const SearchReport& report, size_t adapter) {
  for (size_t g = 0; g < report.groups.size(); ++g)
    if (report.weights[g * report.adapters.size() + adapter] != 0.0) return false;
  return true;
}

/// The weight of one adapter: a number, or one rule per module. Filters are found anywhere in a name, so longer names
/// come first.
merge::Schedule<double> weight_schedule(const SearchReport& report, const SearchSetup& setup, size_t adapter,
                                        const std::vector<std::string>& modules) {
  const size_t count = report.adapters.size();
  if (report.groups.size() == 1) return report.weights[adapter];
  merge::Schedule<double> out;
  out.rules.clear();
  for (const std::string& module : modules)
    out.rules.push_back(
        {module, {report.weights[static_cast<size_t>(setup.space.group_of(module)) * count + adapter]}});
  return out;
}

std::vector<std::string> names_of_modules(const std::vector<adapter::Pool::Source>& sources) {
  adapter::Pool pool = adapter::Pool::open(sources);
  pool.check_compatible();
  std::vector<std::string> out;
  for (const adapter::PoolModule& module : pool.modules()) out.push_back(module.info.name);
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return out;
}

}  // namespace

void check_search_output(const SearchJob& job) {
  ComposeJob compose;
  compose.adapters = job.runtime.adapters;
  compose.output = job.output;
  compose.force = job.force;
  check_output(compose);
  const StagedFolder probe(job.output, job.force);  // what writing would refuse in the end, it refuses now
}

Value search_record(const SearchJob& job, const SearchReport& report) {
  Value out = Value::make_map();
  out.set("method", Value::text(job.options.method));
  out.set("rule", Value::text(job.options.rule == nn::Rule::kDelta ? "delta" : "factors"));
  out.set("metric", Value::text(report.metric));
  out.set("budget", Value::of_int(job.options.budget));
  out.set("spent", Value::of(report.spent));
  out.set("seed", Value::of_int(static_cast<long long>(job.options.seed)));
  if (!job.data.empty()) {
    out.set("examples", Value::text(job.data.filename().generic_string()));
    out.set("examples_sha256", Value::text(io::sha256_file(job.data)));
  }
  out.set("chosen", Value::text(report.chosen));
  out.set("score", finite_or_null(report.score));
  out.set("weights", weights_record(report));
  out.set("comparison", rivals_record(report));
  if (report.groups.size() > 1) out.set("groups", names_of(report.groups));
  SearchJob shared_alike = job;
  shared_alike.options.jobs = 1;  // how the work is shared out changes nothing
  const Value recipe = to_recipe(shared_alike);
  out.set("options", *recipe.find("search"));
  out.set("history", history_record(report));
  return out;
}

void write_search_result(const SearchJob& job, const SearchSetup& setup, SearchReport& report, Log& log) {
  ComposeJob compose_job;
  compose_job.base_model = job.runtime.base.string();
  compose_job.output = job.output;
  compose_job.force = job.force;
  compose_job.dtype = job.dtype;
  compose_job.spec = merge::find_method("linear").spec;
  if (job.options.rule == nn::Rule::kFactors) {
    compose_job.spec.space = merge::Space::kFactors;
    compose_job.spec.factor_weights = merge::FactorWeights::kWhole;
  }
  if (job.rank > 0)
    compose_job.spec.rank = merge::RankRule{merge::RankRule::Kind::kFixed, static_cast<double>(job.rank)};
  const size_t count = report.adapters.size();
  std::vector<size_t> used;
  for (size_t i = 0; i < count; ++i)
    if (!is_unused(report, i)) used.push_back(i);
  if (used.empty()) used.push_back(0);  // the base itself: an update of zero
  const std::vector<std::string> modules =
      report.groups.size() > 1 ? names_of_modules(setup.sources) : std::vector<std::string>{};
  for (const size_t i : used) {
    compose_job.adapters.push_back(setup.sources[i]);
    merge::AdapterSpec options;
    options.weight = weight_schedule(report, setup, i, modules);
    compose_job.spec.adapters.push_back(std::move(options));
  }
  compose_job.record = Value::make_map();
  compose_job.record.set("search", search_record(job, report));
  merge::RunOptions running;
  running.threads = job.runtime.threads;
  running.log = &log;
  const ComposeReport written = compose(compose_job, running);
  report.warnings.insert(report.warnings.end(), written.warnings.begin(), written.warnings.end());
  report.output = written.output;
}

}  // namespace weft::flow
