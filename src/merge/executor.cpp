// One loop over modules for all methods: loads, merges in parallel within the memory budget, streams to the writer.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "merge/checks.h"
#include "merge/estimate.h"
#include "merge/full_tensors.h"
#include "merge/overflow.h"
#include "merge/spaces.h"
#include "weft/core/parallel.h"
#include "weft/merge/merge.h"

namespace weft::merge {

namespace {

/// One merged module on its way to the writer.
struct Merged {
  std::vector<adapter::LowRank> blocks;
  Tensor bias;
  ModuleResult result;
  double cross_squared = 0,
         intended_squared = 0;  // factor space: squared norms of cross terms and of the sum without them
};

/// What a run knows; shared by all threads, read only.
struct Run {
  const adapter::Pool& pool;
  MergeSpec spec;
  LayerMap layers;
  int threads;
  std::int64_t memory;

  Coefficients coefficients(const adapter::PoolModule& m) const {
    return coefficients_at(spec, layers.locate(m.info.name), m.owners, pool.size());
  }
  const adapter::ModuleInfo& stored(const adapter::PoolModule& m, size_t owner) const {
    return pool.adapters()[static_cast<size_t>(m.owners[owner])].modules()[static_cast<size_t>(m.slots[owner])];
  }
};

Run make_run(const adapter::Pool& pool, const MergeSpec& spec, const RunOptions& options) {
  return {pool, effective_spec(pool, spec), LayerMap(pool.modules()),
          options.threads > 0 ? options.threads : default_threads(),
          options.memory > 0 ? options.memory : default_memory()};
}

std::string random_key(const adapter::Adapter& a, const std::string& module) { return a.info().name + "\n" + module; }

void merge_biases(const Run& run, const adapter::PoolModule& m, const std::vector<adapter::ModuleUpdate>& updates,
                  const BlockContext& context, Merged& out) {
  std::vector<Tensor> biases;
  std::vector<double> scales;
  std::vector<std::string> keys;
  Coefficients with_bias = context.coefficients;
  with_bias.shares.clear();
  for (size_t i = 0; i < updates.size(); ++i) {
    if (!updates[i].bias.defined()) continue;
    biases.push_back(updates[i].bias);
    scales.push_back(updates[i].blocks[0].scale);
    keys.push_back(random_key(run.pool.adapters()[static_cast<size_t>(m.owners[i])], m.info.name + ".bias"));
    with_bias.shares.push_back(context.coefficients.shares[i]);
  }
  if (!biases.empty()) out.bias = merge_bias(biases, scales, keys, {context.spec, with_bias, context.memory, 1});
}

void add_block(const Run& run, const std::vector<Part>& parts, const BlockContext& context, Merged& out, double& norm2,
               double& lost2) {
  const linalg::Factored f = merge_in_range(parts, context, [&] {
    if (run.spec.space != Space::kFactors) return merge_in_delta_space(parts, context);
    FactorResult r = merge_in_factor_space(parts, context);
    out.cross_squared += r.cross_terms * r.cross_terms;
    out.intended_squared += r.intended * r.intended;
    return std::move(r.factors);
  });
  norm2 += f.norm * f.norm;
  lost2 += f.error * f.norm * f.error * f.norm;
  out.result.rank = std::max(out.result.rank, f.a.size(0));
  out.blocks.push_back({f.b, f.a, 1.0});
}

Merged merge_one(const Run& run, const adapter::PoolModule& m, int threads, std::int64_t memory) {
  std::vector<adapter::ModuleUpdate> updates;
  for (size_t i = 0; i < m.owners.size(); ++i)
    updates.push_back(run.pool.adapters()[static_cast<size_t>(m.owners[i])].load(run.stored(m, i)));
  Coefficients c = run.coefficients(m);
  // A fixed rank of a grouped convolution is shared out among its groups.
  if (m.info.layer == adapter::LayerKind::kConv && m.info.blocks > 1 && c.rank.kind == RankRule::Kind::kFixed)
    c.rank.number = std::max(1.0, std::floor(c.rank.number / static_cast<double>(m.info.blocks)));
  const BlockContext context{run.spec, c, memory, threads};
  Merged out;
  out.result.name = m.info.name;
  double norm2 = 0, lost2 = 0;
  for (std::int64_t block = 0; block < m.info.blocks; ++block) {
    std::vector<Part> parts;
    for (size_t i = 0; i < updates.size(); ++i) {
      const std::string where = m.info.blocks > 1 ? fmt::format("{}[{}]", m.info.name, block) : m.info.name;
      parts.push_back({updates[i].blocks[static_cast<size_t>(block)],
                       random_key(run.pool.adapters()[static_cast<size_t>(m.owners[i])], where), updates[i].dense});
    }
    add_block(run, parts, context, out, norm2, lost2);
  }
  merge_biases(run, m, updates, context, out);
  out.result.norm = std::sqrt(norm2);
  out.result.error = norm2 > 0 ? std::sqrt(lost2 / norm2) : 0.0;
  for (size_t i = 0; i < m.owners.size(); ++i)
    run.pool.adapters()[static_cast<size_t>(m.owners[i])].release(run.stored(m, i));
  return out;
}

/// Collects what was measured and hands modules to the writer, in order.
class Sink {
 public:
  Sink(const Run& run, adapter::AdapterWriter& out, Log& log) : run_(run), out_(out), log_(log) {
    log_.progress("merge", 0, total(), "");
  }
  void take(const adapter::PoolModule& m, Merged&& merged) {
    out_.add(m.info, merged.blocks, merged.bias);
    norm2_ += merged.result.norm * merged.result.norm;
    lost2_ += std::pow(merged.result.error * merged.result.norm, 2);
    cross2_ += merged.cross_squared;
    intended2_ += merged.intended_squared;
    report_.modules.push_back(std::move(merged.result));
    log_.progress("merge", static_cast<std::int64_t>(report_.modules.size()), total(), m.info.name);
  }
  MergeReport finish() {
    report_.norm = std::sqrt(norm2_);
    report_.error = norm2_ > 0 ? std::sqrt(lost2_ / norm2_) : 0.0;
    if (run_.spec.space == Space::kFactors && run_.pool.size() > 1)
      report_.warnings.push_back(
          fmt::format("merging A and B apart adds cross terms between adapters: {:.3g} times the norm of the sum "
                      "without them (space=delta has none)",
                      intended2_ > 0 ? std::sqrt(cross2_ / intended2_) : 0.0));
    return std::move(report_);
  }

 private:
  std::int64_t total() const { return static_cast<std::int64_t>(run_.pool.modules().size()); }
  const Run& run_;
  adapter::AdapterWriter& out_;
  Log& log_;
  MergeReport report_;
  double norm2_ = 0, lost2_ = 0, cross2_ = 0, intended2_ = 0;
};

/// Modules [first, last) side by side, as many at a time as the memory allows.
void merge_side_by_side(const Run& run, size_t first, size_t last, std::int64_t memory_each, Sink& sink) {
  const auto count = static_cast<std::int64_t>(last - first);
  const auto fit =
      static_cast<int>(std::clamp<std::int64_t>(run.memory / std::max<std::int64_t>(memory_each, 1), 1, run.threads));
  std::vector<Merged> slots(last - first);
  const auto& modules = run.pool.modules();
  ordered_pipeline(
      count, fit, fit + 1,
      [&](std::int64_t i) {
        slots[static_cast<size_t>(i)] = merge_one(run, modules[first + static_cast<size_t>(i)], 1, run.memory / fit);
      },
      [&](std::int64_t i) {
        sink.take(modules[first + static_cast<size_t>(i)], std::move(slots[static_cast<size_t>(i)]));
        slots[static_cast<size_t>(i)] = {};
      });
}

void merge_modules(const Run& run, Sink& sink) {
  const auto& modules = run.pool.modules();
  const auto wide = [&](size_t i) {
    return module_cost(run.spec, modules[i], run.coefficients(modules[i]), run.pool, run.threads).entrywise &&
           modules[i].info.out * modules[i].info.in >= kWideModule;
  };
  for (size_t i = 0; i < modules.size();) {
    if (wide(i)) {
      sink.take(modules[i], merge_one(run, modules[i], run.threads, run.memory));
      ++i;
      continue;
    }
    size_t end = i;
    std::int64_t most = 0;
    for (; end < modules.size() && !wide(end); ++end)
      most = std::max(most, module_cost(run.spec, modules[end], run.coefficients(modules[end]), run.pool, 1).memory);
    merge_side_by_side(run, i, end, most, sink);
    i = end;
  }
}

void check_memory(const RunOptions& options, const std::string& module, std::int64_t needed) {
  if (options.memory <= 0 || needed <= options.memory) return;
  throw UsageError(fmt::format("--memory {} is less than module {} needs with this method; give at least {}",
                               format_size(static_cast<double>(options.memory)), module,
                               format_size(static_cast<double>(needed))));
}

}  // namespace

MergePlan plan(const adapter::Pool& pool, const MergeSpec& spec, const RunOptions& options) {
  check_options(pool, spec);
  pool.check_compatible();
  const Run run = make_run(pool, spec, options);
  MergePlan out;
  out.warnings = pool.warnings();
  out.modules = static_cast<std::int64_t>(pool.modules().size());
  for (const std::string& idle : idle_options(run.spec)) out.warnings.push_back(idle);
  if ((out.carried = is_identity(pool, run.spec, run.layers))) {
    for (const auto& m : pool.adapters()[0].modules()) out.output_bytes += m.parameters * 4;
    return out;
  }
  check_variants(pool, run.spec, run.layers);
  decide_full_tensors(pool, run.spec, run.layers, out.warnings);
  if (pool.modules().empty())
    throw InputError("the pool has no module with a low-rank update; there is nothing to merge");
  double flops = 0;
  bool wide_factors = false;
  for (const adapter::PoolModule& m : pool.modules()) {
    const Coefficients c = run.coefficients(m);
    wide_factors = wide_factors || (m.info.has_dense && c.rank.kind == RankRule::Kind::kExact);
    const ModuleCost cost = module_cost(run.spec, m, c, pool, run.threads);
    check_memory(options, m.info.name, cost.memory);
    out.memory = std::max(out.memory, cost.memory);
    out.output_bytes += cost.output_numbers * 4;
    flops += cost.flops;
  }
  if (wide_factors)
    out.warnings.emplace_back(
        "deltas of DoRA adapters have full rank: with rank=exact their factors are larger than the base's weights; "
        "rank=N, rank=energy:x or rank=keep makes them small");
  constexpr double kFlopsPerThread = 1.5e10;  // what these loops reach on a core of a server processor
  out.seconds = 0.05 + flops / (kFlopsPerThread * run.threads);
  return out;
}

MergeReport merge(const adapter::Pool& pool, const MergeSpec& spec, adapter::AdapterWriter& out,
                  const RunOptions& options) {
  const MergePlan planned = plan(pool, spec, options);
  const Run run = make_run(pool, spec, options);
  if (planned.carried) {
    out.carry(pool.adapters()[0].as_stored());
    MergeReport report;
    report.carried = true;
    report.warnings = planned.warnings;
    return report;
  }
  const SerialTorch serial;  // the result must not depend on libtorch's threads
  std::vector<std::string> ignored;
  const std::vector<FullDecision> full = decide_full_tensors(pool, run.spec, run.layers, ignored);
  Sink sink(run, out, options.log != nullptr ? *options.log : silent_log());
  merge_modules(run, sink);
  write_full_tensors(pool, full, out);
  MergeReport report = sink.finish();
  report.warnings.insert(report.warnings.begin(), planned.warnings.begin(), planned.warnings.end());
  return report;
}

MemoryResult merge_module(const std::string& module, const std::vector<std::string>& adapters,
                          const std::vector<adapter::LowRank>& updates, const MergeSpec& spec,
                          const RunOptions& options) {
  if (adapters.size() != updates.size() || adapters.empty())
    throw UsageError(fmt::format("merge_module: {} names for {} updates", adapters.size(), updates.size()));
  std::vector<int> owners;
  std::vector<Part> parts;
  for (size_t i = 0; i < updates.size(); ++i) {
    if (!updates[i].a.defined()) continue;
    owners.push_back(static_cast<int>(i));
    parts.push_back({updates[i], adapters[i] + "\n" + module});
  }
  if (owners.empty()) throw UsageError(fmt::format("merge_module: no adapter has the module {}", module));
  const Coefficients c = coefficients_at(spec, {module, -1, 0}, owners, adapters.size());
  const int threads = options.threads > 0 ? options.threads : default_threads();
  const BlockContext context{spec, c, options.memory > 0 ? options.memory : default_memory(), threads};
  const SerialTorch serial;  // the result must not depend on libtorch's threads
  const linalg::Factored f = merge_in_range(parts, context, [&] {
    return spec.space == Space::kFactors ? merge_in_factor_space(parts, context).factors
                                         : merge_in_delta_space(parts, context);
  });
  return {{{f.b, f.a, 1.0}}, f.norm, f.error};
}

}  // namespace weft::merge
