#include "flow/start_adapter.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "flow/facts.h"
#include "io/sha256.h"
#include "weft/core/error.h"
#include "weft/flow/compose.h"
#include "weft/merge/spec.h"

namespace weft::flow {

namespace {

ComposeReport compose_start(const std::vector<adapter::Pool::Source>& sources, const std::vector<double>& weights,
                            const std::filesystem::path& base, std::int64_t rank, const std::filesystem::path& out,
                            Log& log) {
  ComposeJob job;
  job.base_model = base.string();
  job.adapters = sources;
  job.spec = merge::find_method("linear").spec;
  job.spec.rank = merge::RankRule{merge::RankRule::Kind::kFixed, static_cast<double>(rank)};
  for (const double weight : weights) {
    merge::AdapterSpec options;
    options.weight = weight;
    job.spec.adapters.push_back(options);
  }
  job.output = out;
  job.dtype = "float32";
  merge::RunOptions run;
  run.log = &log;
  return compose(job, run);
}

Value sources_record(const adapter::Pool& pool, const std::vector<double>& weights) {
  Value list = Value::make_list();
  for (size_t i = 0; i < pool.size(); ++i) {
    const adapter::AdapterInfo& info = pool.adapters()[i].info();
    Value entry = Value::make_map();
    entry.set("name", Value::text(info.name));
    entry.set("path", Value::text(info.path.generic_string()));
    entry.set("weight", Value::of(weights[i]));
    entry.set("tensors_sha256", Value::text(io::sha256_file(info.tensors)));
    list.list.push_back(std::move(entry));
  }
  return list;
}

bool fits_rank(const adapter::Adapter& adapter, std::int64_t rank) {
  const auto& modules = adapter.modules();
  return std::all_of(modules.begin(), modules.end(),
                     [rank](const adapter::ModuleInfo& module) { return module.rank <= rank; });
}

}  // namespace

ScratchFolder::ScratchFolder() {
  std::error_code failed;
  const std::filesystem::path parent = std::filesystem::temp_directory_path(failed);
  if (failed) throw Error(fmt::format("no folder for temporary files: {}", failed.message()));
  std::string name = (parent / "weft-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw Error(fmt::format("{}: cannot make a temporary folder here: {}", parent.string(), std::strerror(errno)));
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

StartAdapter::StartAdapter(const std::vector<adapter::Pool::Source>& sources, const std::vector<double>& weights,
                           const std::filesystem::path& base, std::int64_t rank, Log& log)
    : record_(Value::make_map()) {
  if (sources.empty()) throw UsageError("no adapter to start from");
  if (!weights.empty() && weights.size() != sources.size())
    throw UsageError(
        fmt::format("{} weights for {} adapters to start from, expected one each", weights.size(), sources.size()));
  if (rank < 1) throw UsageError(fmt::format("an adapter cannot have rank {}", rank));
  const std::vector<double> all = weights.empty() ? std::vector<double>(sources.size(), 1.0) : weights;
  const adapter::Pool pool = adapter::Pool::open(sources);
  record_.set("adapters", sources_record(pool, all));
  if (pool.size() == 1 && all[0] == 1.0 && fits_rank(pool.adapters()[0], rank)) {
    adapters_.push_back(pool.adapters()[0]);
    return;
  }
  const std::filesystem::path out = scratch_.path() / "start";
  const ComposeReport report = compose_start(sources, all, base, rank, out, log);
  adapters_.push_back(adapter::Adapter::open(out, "start"));
  record_.set("rank", Value::of_int(rank));
  record_.set("error", finite_or_null(report.merge.error));
}

}  // namespace weft::flow
