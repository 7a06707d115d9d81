#include "weft/adapter/inspect.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "adapter/inspect_warnings.h"
#include "linalg/gram.h"
#include "weft/core/parallel.h"

namespace weft::adapter {
namespace {

/// What one module contributes; filled by any thread, taken in order.
struct ModuleFindings {
  std::vector<ModuleReport> reports;  ///< one per owner that could be read
  std::vector<int> members;           ///< who they are
  std::vector<double> gram, overlap;  ///< [members²]
  std::vector<std::pair<int, std::string>> failures;
};

/// The blocks whose spectra are taken: groups of a convolution are rows of one matrix, experts stand for themselves.
std::vector<LowRank> spectral_blocks(const ModuleInfo& info, const ModuleUpdate& update) {
  if (info.layer == LayerKind::kParameter || update.blocks.size() < 2) return update.blocks;
  std::vector<Tensor> b, a;
  for (const LowRank& block : update.blocks) {
    b.push_back(block.b.to(at::kDouble).mul(block.scale));
    a.push_back(block.a.to(at::kDouble));
  }
  return {{at::block_diag(b), at::cat(a, 0), 1.0}};
}

ModuleReport report_of(const ModuleInfo& info, const std::vector<linalg::SingularFactors>& blocks) {
  ModuleReport out{info.name, info.out, info.in, info.rank, info.scale, 0.0, 0.0, {}};
  double energy = 0.0;
  for (const auto& block : blocks) {
    const double* s = block.s.const_data_ptr<double>();
    out.singular_values.insert(out.singular_values.end(), s, s + block.s.numel());
  }
  std::sort(out.singular_values.begin(), out.singular_values.end(), std::greater<>());
  for (const double s : out.singular_values) energy += s * s;
  out.norm = std::sqrt(energy);
  out.effective_rank = linalg::effective_rank(out.singular_values);
  if (out.singular_values.size() > static_cast<size_t>(info.rank))
    out.singular_values.resize(static_cast<size_t>(info.rank));
  return out;
}

/// Adds the pair sums of members `who` (positions in `out.members`), block by block.
void add_pairs(const std::vector<std::vector<linalg::SingularFactors>>& spectra, const std::vector<size_t>& who,
               ModuleFindings& out) {
  const size_t n = out.members.size(), blocks = spectra[who[0]].size();
  for (size_t e = 0; e < blocks; ++e) {
    std::vector<linalg::SingularFactors> deltas;
    for (const size_t w : who) deltas.push_back(spectra[w][e]);
    const linalg::PairProducts pairs = linalg::pair_products(deltas);
    for (size_t i = 0; i < who.size(); ++i)
      for (size_t j = 0; j < who.size(); ++j) {
        out.gram[who[i] * n + who[j]] += pairs.gram[i * who.size() + j];
        out.overlap[who[i] * n + who[j]] += pairs.overlap[i * who.size() + j] / static_cast<double>(blocks);
      }
  }
}

ModuleFindings examine(const Pool& pool, const PoolModule& module) {
  ModuleFindings out;
  std::vector<std::vector<linalg::SingularFactors>> spectra;
  std::map<std::tuple<std::int64_t, std::int64_t, size_t>, std::vector<size_t>> alike;  // only these can be compared
  for (size_t k = 0; k < module.owners.size(); ++k) {
    const Adapter& adapter = pool.adapters()[static_cast<size_t>(module.owners[k])];
    const ModuleInfo& info = adapter.modules()[static_cast<size_t>(module.slots[k])];
    if (!adapter.info().refusal.empty()) continue;  // said once, by the adapter's warnings
    try {
      const ModuleUpdate update = adapter.load(info);
      std::vector<linalg::SingularFactors> blocks;
      for (const LowRank& block : spectral_blocks(info, update))
        blocks.push_back(linalg::singular_factors(block.b, block.a, block.scale));
      alike[{info.out, info.in, blocks.size()}].push_back(spectra.size());
      out.reports.push_back(report_of(info, blocks));
      out.members.push_back(module.owners[k]);
      spectra.push_back(std::move(blocks));
    } catch (const InputError& e) {
      out.failures.emplace_back(module.owners[k], e.what());  // inspecting is how such things are found
    }
    adapter.release(info);
  }
  out.gram.assign(spectra.size() * spectra.size(), 0.0);
  out.overlap = out.gram;
  for (const auto& [shape, who] : alike) add_pairs(spectra, who, out);
  return out;
}

using Matrix = std::vector<std::vector<double>>;

Matrix zero_matrix(size_t n) { return Matrix(n, std::vector<double>(n, 0.0)); }

/// Sums over modules, taken in the pool's order so that rounding never depends on the threads.
struct PoolSums {
  explicit PoolSums(size_t n) : compared(zero_matrix(n)), shared(zero_matrix(n)) {}
  Matrix compared;  ///< how many modules entered the overlap
  Matrix shared;    ///< how many modules both have
};

void take_findings(const PoolModule& module, ModuleFindings& found, PoolSums& sums, PoolReport& report) {
  for (const int i : module.owners)
    for (const int j : module.owners) sums.shared[static_cast<size_t>(i)][static_cast<size_t>(j)] += 1.0;
  const size_t n = found.members.size();
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      const auto p = static_cast<size_t>(found.members[i]), q = static_cast<size_t>(found.members[j]);
      report.gram[p][q] += found.gram[i * n + j];
      report.overlap[p][q] += found.overlap[i * n + j];
      sums.compared[p][q] += 1.0;
    }
  for (size_t i = 0; i < n; ++i)
    report.adapters[static_cast<size_t>(found.members[i])].modules.push_back(std::move(found.reports[i]));
  for (auto& [owner, text] : found.failures)
    report.adapters[static_cast<size_t>(owner)].warnings.push_back(std::move(text));
}

void finish_matrices(const Pool& pool, const PoolSums& sums, PoolReport& report) {
  const size_t n = pool.size();
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      const double norms = std::sqrt(report.gram[i][i]) * std::sqrt(report.gram[j][j]);
      report.cosine[i][j] = norms > 0.0 ? std::clamp(report.gram[i][j] / norms, -1.0, 1.0) : 0.0;
      if (sums.compared[i][j] > 0.0) report.overlap[i][j] /= sums.compared[i][j];
      const double either = sums.shared[i][i] + sums.shared[j][j] - sums.shared[i][j];
      report.shared[i][j] = either > 0.0 ? sums.shared[i][j] / either : 0.0;
    }
}

/// As many threads as memory allows: each holds the singular bases of one module of every adapter.
int affordable_threads(const Pool& pool, int threads) {
  double heaviest = 1.0;
  for (const PoolModule& module : pool.modules()) {
    const auto rank = static_cast<double>(module.rank_sum) * static_cast<double>(module.info.blocks);
    heaviest = std::max(heaviest, 4.0 * 8.0 * rank * static_cast<double>(module.info.out + module.info.in));
  }
  const double fit = std::floor(static_cast<double>(default_memory()) / heaviest);
  const int wanted = threads > 0 ? threads : default_threads();
  return static_cast<int>(std::clamp(fit, 1.0, static_cast<double>(wanted)));
}

std::int64_t stored_numbers(const Adapter& adapter) {
  std::int64_t out = 0;
  for (const ModuleInfo& module : adapter.modules()) out += module.parameters;
  for (const FullTensor& tensor : adapter.full_tensors()) {
    std::int64_t numbers = 1;
    for (const std::int64_t side : tensor.shape) numbers *= side;
    out += numbers;
  }
  return out;
}

}  // namespace

PoolReport inspect(const Pool& pool, int threads) {
  const size_t n = pool.size();
  PoolReport report;
  report.gram = report.cosine = report.overlap = report.shared = zero_matrix(n);
  report.adapters.resize(n);
  for (size_t i = 0; i < n; ++i) {
    report.adapters[i].name = pool.adapters()[i].info().name;
    report.adapters[i].parameters = stored_numbers(pool.adapters()[i]);
  }
  PoolSums sums(n);
  const auto& modules = pool.modules();
  std::vector<ModuleFindings> found(modules.size());
  const int workers = affordable_threads(pool, threads);
  ordered_pipeline(
      static_cast<std::int64_t>(modules.size()), workers, workers + 1,
      [&](std::int64_t i) { found[static_cast<size_t>(i)] = examine(pool, modules[static_cast<size_t>(i)]); },
      [&](std::int64_t at) {
        const auto i = static_cast<size_t>(at);
        take_findings(modules[i], found[i], sums, report);
        if (modules[i].owners.size() == n) report.common_modules.push_back(modules[i].info.name);
        found[i] = {};
      });
  finish_matrices(pool, sums, report);
  for (size_t i = 0; i < n; ++i) {
    report.adapters[i].norm = std::sqrt(report.gram[i][i]);
    add_adapter_warnings(pool.adapters()[i], report.adapters[i]);
  }
  report.warnings = pool.warnings();
  report.warnings.insert(report.warnings.end(), pool.misfits().begin(), pool.misfits().end());
  return report;
}

}  // namespace weft::adapter
