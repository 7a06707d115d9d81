#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "adapter/adapter_data.h"
#include "core/natural.h"

namespace weft::adapter {

std::vector<std::string> ModuleKeys::present() const {
  std::vector<std::string> out;
  for (const std::string* key : {&a, &b, &bias, &magnitude, &diagonal})
    if (!key->empty()) out.push_back(*key);
  return out;
}

std::int64_t Adapter::Data::index_of(const std::string& name) const {
  const auto& modules = contents->modules;
  const auto at = std::lower_bound(modules.begin(), modules.end(), name,
                                   [](const ModuleInfo& m, const std::string& n) { return natural_less(m.name, n); });
  return at != modules.end() && at->name == name ? at - modules.begin() : -1;
}

std::shared_ptr<const Contents> make_contents(std::vector<ModuleEntry> modules, std::vector<FullTensor> full_tensors,
                                              const std::string& file) {
  std::vector<size_t> order(modules.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t x, size_t y) { return natural_less(modules[x].info.name, modules[y].info.name); });
  std::sort(full_tensors.begin(), full_tensors.end(), [](const FullTensor& x, const FullTensor& y) {
    return x.name == y.name ? natural_less(x.key, y.key) : natural_less(x.name, y.name);
  });
  auto out = std::make_shared<Contents>();
  out->modules.reserve(modules.size());
  out->keys.reserve(modules.size());
  for (const size_t i : order) {
    ModuleEntry& m = modules[i];
    if (!out->modules.empty() && out->modules.back().name == m.info.name)
      throw InputError(fmt::format("{}: two updates for module '{}': '{}' and '{}'; keep one of them", file,
                                   m.info.name, out->keys.back().a, m.keys.a));
    out->modules.push_back(std::move(m.info));
    out->keys.push_back(std::move(m.keys));
  }
  out->full_tensors = std::move(full_tensors);
  return out;
}

}  // namespace weft::adapter
