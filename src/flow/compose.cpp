#include "weft/flow/compose.h"

#include <c10/core/ScalarType.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "flow/dtype.h"
#include "flow/facts.h"
#include "flow/output_check.h"
#include "io/tensor_file.h"
#include "merge/checks.h"
#include "weft/adapter/base.h"
#include "weft/adapter/writer.h"
#include "weft/core/log.h"

namespace weft::flow {

namespace {

/// Collects every warning once, and passes it on at once.
class WarningList {
 public:
  WarningList(ComposeReport& report, Log& log) : report_(report), log_(log) {}
  void add(const std::string& text) {
    auto& all = report_.warnings;
    if (std::find(all.begin(), all.end(), text) != all.end()) return;
    all.push_back(text);
    log_.warning(text);
  }
  void add(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) add(text);
  }

 private:
  ComposeReport& report_;
  Log& log_;
};

/// The pool with ordinary deltas where base_model is there to make them so.
adapter::Pool on_base(adapter::Pool pool, const ComposeJob& job, WarningList& warnings) {
  const auto& members = pool.adapters();
  const bool needed = std::any_of(members.begin(), members.end(),
                                  [](const adapter::Adapter& member) { return !member.info().needs_base.empty(); });
  if (job.base_model.empty()) return pool;
  if (!needed || merge::carries_whole(pool, job.spec)) {
    // The name of a model on a hub is fine where no weights are needed; what is meant as a path should be there.
    const bool path = job.base_model.find_first_of("./~") == 0;
    std::error_code ignored;
    if (path && !std::filesystem::exists(job.base_model, ignored))
      warnings.add(fmt::format("base_model {} is not there; this merge does not need it", job.base_model));
    return pool;
  }
  return adapter::with_base(pool, adapter::BaseWeights::open(job.base_model));
}

/// Everything up to the point where something would be written.
struct Prepared {
  adapter::Pool pool;
  c10::ScalarType dtype;
};

Prepared prepare(const ComposeJob& job, const merge::RunOptions& options, ComposeReport& report,
                 WarningList& warnings) {
  if (job.adapters.empty()) throw UsageError("no adapters to compose");
  warnings.add(job.warnings);
  adapter::Pool pool = adapter::Pool::open(job.adapters);
  pool.check_compatible();
  warnings.add(pool.warnings());
  for (const adapter::Adapter& member : pool.adapters()) {
    report.adapters.push_back(member.info().name);
    for (const std::string& text : member.info().warnings) warnings.add(member.info().name + ": " + text);
  }
  pool = on_base(std::move(pool), job, warnings);
  report.output = job.output;
  const c10::ScalarType dtype = output_dtype(job.dtype, pool);
  report.dtype = io::dtype_name(dtype);
  report.plan = merge::plan(pool, job.spec, options);
  report.output_bytes = report.plan.output_bytes / 4 * static_cast<std::int64_t>(c10::elementSize(dtype));
  warnings.add(report.plan.warnings);
  return {std::move(pool), dtype};
}

Value measured_facts(const merge::MergeReport& report) {
  Value facts = Value::make_map();
  facts.set("norm", finite_or_null(report.norm));
  facts.set("error", finite_or_null(report.error));
  facts.set("carried", Value::of(report.carried));
  facts.set("modules", module_facts(report));
  return facts;
}

/// Texts of a recipe as JSON strings: numbers and booleans stay bare, all else is quoted.
void quote_texts(Value& value) {
  if (value.is_scalar() && !value.number() && !value.boolean()) value.quoted = true;
  for (Value& item : value.list) quote_texts(item);
  for (auto& entry : value.map) quote_texts(entry.second);
}

/// Without times and without the place of the output: the same inputs give the same bytes wherever they are written.
Value provenance_of(const ComposeJob& job, const ComposeReport& report) {
  ComposeJob portable = job;
  portable.output.clear();
  portable.force = false;
  if (!report.merge.carried) portable.dtype = report.dtype;  // a carried adapter may have several
  for (size_t i = 0; i < portable.adapters.size(); ++i) portable.adapters[i].name = report.adapters[i];
  Value recipe = to_recipe(portable);
  quote_texts(recipe);
  Value warnings = Value::make_list();
  for (const std::string& text : report.warnings) warnings.list.push_back(Value::text(text));
  Value out = Value::make_map();
  out.set("recipe", std::move(recipe));
  out.set("method", Value::text(job.spec.method));
  out.set("measured", measured_facts(report.merge));
  if (job.record.is_map())
    for (const auto& [key, value] : job.record.map) out.set(key, value);
  out.set("warnings", std::move(warnings));
  return out;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

ComposeReport dry_run(const ComposeJob& job, const merge::RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  ComposeReport report;
  WarningList warnings(report, options.log != nullptr ? *options.log : silent_log());
  prepare(job, options, report, warnings);
  if (!job.output.empty()) check_output(job);
  report.merge.carried = report.plan.carried;
  report.seconds = seconds_since(start);
  return report;
}

ComposeReport compose(const ComposeJob& job, const merge::RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  ComposeReport report;
  WarningList warnings(report, options.log != nullptr ? *options.log : silent_log());
  check_output(job);
  const Prepared prepared = prepare(job, options, report, warnings);
  // Nobody asked for a dtype: what is carried over whole stays as it is, biases and heads beside half-precision factors
  // included.
  adapter::AdapterWriter writer(job.output, prepared.pool, {prepared.dtype, job.force, job.dtype.empty()});
  report.merge = merge::merge(prepared.pool, job.spec, writer, options);
  warnings.add(report.merge.warnings);
  report.output_bytes = writer.bytes();
  writer.finish(provenance_of(job, report));
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace weft::flow
