#include "cli/inspection.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "cli/search_summary.h"
#include "cli/table.h"
#include "io/json.h"
#include "io/tensor_file.h"

namespace weft::cli {

namespace {

constexpr size_t kWidestMatrix = 12;  // larger pools show their most similar pairs instead
constexpr size_t kMostPairs = 10;
constexpr size_t kLargestRecord = size_t{64} << 20;

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

std::string ranks_of(const adapter::Adapter& adapter) {
  if (adapter.modules().empty()) return "-";
  const auto by_rank = [](const auto& a, const auto& b) { return a.rank < b.rank; };
  const auto [low, high] = std::minmax_element(adapter.modules().begin(), adapter.modules().end(), by_rank);
  return low->rank == high->rank ? fmt::format("{}", low->rank) : fmt::format("{}-{}", low->rank, high->rank);
}

std::string scales_of(const adapter::Adapter& adapter) {
  if (adapter.modules().empty()) return "-";
  const auto by_scale = [](const auto& a, const auto& b) { return a.scale < b.scale; };
  const auto [low, high] = std::minmax_element(adapter.modules().begin(), adapter.modules().end(), by_scale);
  if (low->scale == high->scale) return format_number(low->scale);
  return fmt::format("{}-{}", format_number(low->scale), format_number(high->scale));
}

double mean_effective_rank(const adapter::AdapterReport& report) {
  double sum = 0;
  for (const adapter::ModuleReport& module : report.modules) sum += module.effective_rank;
  return report.modules.empty() ? 0 : sum / static_cast<double>(report.modules.size());
}

void print_adapters(const Inspection& inspection, std::ostream& out) {
  std::vector<std::string> titles = {"adapter", "base model", "variant",     ">modules",
                                     ">rank",   ">scale",     ">parameters", "dtype"};
  if (inspection.report != nullptr) titles.insert(titles.end(), {">norm", ">effective rank"});
  Table table(titles);
  for (size_t i = 0; i < inspection.pool.size(); ++i) {
    const adapter::Adapter& member = inspection.pool.adapters()[i];
    const adapter::AdapterInfo& info = member.info();
    std::vector<std::string> row = {info.name,
                                    or_dash(info.base_model),
                                    variant_of(info),
                                    std::to_string(member.modules().size()),
                                    ranks_of(member),
                                    scales_of(member),
                                    format_count(parameters_of(member)),
                                    dtypes_of(member)};
    if (inspection.report != nullptr) {
      const adapter::AdapterReport& measured = inspection.report->adapters[i];
      row.push_back(measured.modules.empty() ? "-" : format_number(measured.norm));
      row.push_back(measured.modules.empty() ? "-" : fmt::format("{:.1f}", mean_effective_rank(measured)));
    }
    table.add(std::move(row));
  }
  out << table.text();
}

void print_modules(const adapter::Adapter& member, const adapter::AdapterReport* report, std::ostream& out) {
  std::vector<std::string> titles = {"module", ">out", ">in", ">rank", ">scale"};
  if (report != nullptr) titles.insert(titles.end(), {">norm", ">effective rank"});
  Table table(titles);
  for (size_t i = 0; i < member.modules().size(); ++i) {
    const adapter::ModuleInfo& module = member.modules()[i];
    std::vector<std::string> row = {module.name, std::to_string(module.out), std::to_string(module.in),
                                    std::to_string(module.rank), format_number(module.scale)};
    if (report != nullptr && i < report->modules.size()) {
      row.push_back(format_number(report->modules[i].norm));
      row.push_back(fmt::format("{:.1f}", report->modules[i].effective_rank));
    }
    table.add(std::move(row));
  }
  out << "\n" << (member.info().name.empty() ? "modules" : printable(member.info().name)) << "\n" << table.text(2);
  for (const adapter::FullTensor& tensor : member.full_tensors())
    out << fmt::format("  {} [{}], replaces the base's\n", printable(tensor.name), fmt::join(tensor.shape, ", "));
}

void print_matrix(const adapter::Pool& pool, const std::vector<std::vector<double>>& rows, std::string_view title,
                  std::ostream& out) {
  std::vector<std::string> titles = {std::string(title)};
  for (const adapter::Adapter& member : pool.adapters()) titles.push_back(">" + member.info().name);
  Table table(titles);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::string> row = {pool.adapters()[i].info().name};
    for (const double number : rows[i]) row.push_back(fmt::format("{:.3f}", number));
    table.add(std::move(row));
  }
  out << "\n" << table.text();
}

void print_nearest_pairs(const Inspection& inspection, std::ostream& out) {
  struct Pair {
    size_t i, j;
    double cosine;
  };
  const auto& cosine = inspection.report->cosine;
  std::vector<Pair> pairs;
  for (size_t i = 0; i < cosine.size(); ++i)
    for (size_t j = i + 1; j < cosine.size(); ++j) pairs.push_back({i, j, cosine[i][j]});
  const size_t shown = std::min(kMostPairs, pairs.size());
  const auto middle = pairs.begin() + static_cast<std::ptrdiff_t>(shown);
  std::partial_sort(pairs.begin(), middle, pairs.end(), [](const Pair& a, const Pair& b) {
    if (a.cosine != b.cosine) return a.cosine > b.cosine;
    return a.i != b.i ? a.i < b.i : a.j < b.j;
  });
  Table table({"most similar", "", ">cosine", ">overlap"});
  for (size_t k = 0; k < shown; ++k) {
    const Pair& pair = pairs[k];
    table.add({inspection.pool.adapters()[pair.i].info().name, inspection.pool.adapters()[pair.j].info().name,
               fmt::format("{:.3f}", pair.cosine), fmt::format("{:.3f}", inspection.report->overlap[pair.i][pair.j])});
  }
  out << "\n" << table.text();
}

void print_search(const adapter::Adapter& member, const Value& record, std::ostream& out) {
  const std::optional<SearchSummary> summary = summary_of(record);
  if (!summary) return;
  out << "\n" << (member.info().name.empty() ? "search" : printable(member.info().name)) << "\n";
  print_summary(*summary, out);
}

void print_pool(const Inspection& inspection, std::ostream& out) {
  const auto& modules = inspection.pool.modules();
  const auto common = std::count_if(modules.begin(), modules.end(), [&](const adapter::PoolModule& module) {
    return module.owners.size() == inspection.pool.size();
  });
  out << fmt::format("\npool: {} adapters, {} modules, {} of them in every adapter\n", inspection.pool.size(),
                     modules.size(), common);
  if (inspection.report == nullptr) return;
  if (inspection.pool.size() > kWidestMatrix) {
    print_nearest_pairs(inspection, out);
    return;
  }
  print_matrix(inspection.pool, inspection.report->cosine, "cosine of deltas", out);
  print_matrix(inspection.pool, inspection.report->overlap, "overlap of column spaces", out);
}

}  // namespace

std::string dtypes_of(const adapter::Adapter& adapter) {
  std::vector<std::string> names;
  for (const adapter::ModuleInfo& module : adapter.modules()) names.push_back(io::dtype_name(module.dtype));
  for (const adapter::FullTensor& tensor : adapter.full_tensors()) names.push_back(io::dtype_name(tensor.dtype));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names.empty() ? "-" : fmt::format("{}", fmt::join(names, ", "));
}

std::string variant_of(const adapter::AdapterInfo& info) {
  const std::string type = info.type.empty() ? "lora" : info.type;
  return info.variants.empty() ? type : fmt::format("{} ({})", type, fmt::join(info.variants, ", "));
}

std::int64_t parameters_of(const adapter::Adapter& adapter) {
  std::int64_t sum = 0;
  for (const adapter::ModuleInfo& module : adapter.modules()) sum += module.parameters;
  for (const adapter::FullTensor& tensor : adapter.full_tensors()) {
    std::int64_t numel = 1;
    for (const std::int64_t side : tensor.shape) numel *= side;
    sum += numel;
  }
  return sum;
}

std::vector<std::string> inspection_warnings(const Inspection& inspection) {
  std::vector<std::string> all = inspection.pool.misfits();
  const auto add = [&](const std::string& name, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) all.push_back(name.empty() ? text : name + ": " + text);
  };
  const auto& members = inspection.pool.adapters();
  for (size_t i = 0; i < members.size(); ++i) {
    const adapter::AdapterInfo& info = members[i].info();
    if (!info.refusal.empty()) add(info.name, {info.refusal});
    if (!info.needs_base.empty()) add(info.name, {info.needs_base});
    add(info.name, info.warnings);
    if (inspection.report != nullptr) add(info.name, inspection.report->adapters[i].warnings);
  }
  add("", inspection.unreadable);
  add("", inspection.pool.warnings());
  if (inspection.report != nullptr) add("", inspection.report->warnings);
  std::vector<std::string> once;
  for (const std::string& text : all)
    if (std::find(once.begin(), once.end(), text) == once.end()) once.push_back(text);
  return once;
}

void read_searches(Inspection& inspection) {
  for (const adapter::Adapter& member : inspection.pool.adapters()) {
    Value found;
    std::error_code ignored;
    const std::filesystem::path record = member.info().path / "weft.json";
    if (std::filesystem::is_regular_file(record, ignored)) {
      try {
        const Value whole = io::read_json(record, kLargestRecord);
        const Value* search = whole.is_map() ? whole.find("search") : nullptr;
        if (search != nullptr && search->is_map()) found = *search;
      } catch (const InputError& error) {
        inspection.unreadable.emplace_back(error.what());
      }
    }
    inspection.searches.push_back(std::move(found));
  }
}

void print_inspection(const Inspection& inspection, std::ostream& out) {
  print_adapters(inspection, out);
  const auto& members = inspection.pool.adapters();
  for (size_t i = 0; i < inspection.searches.size(); ++i) print_search(members[i], inspection.searches[i], out);
  for (size_t i = 0; inspection.modules && i < members.size(); ++i)
    print_modules(members[i], inspection.report != nullptr ? &inspection.report->adapters[i] : nullptr, out);
  if (members.size() > 1) print_pool(inspection, out);
}

}  // namespace weft::cli
