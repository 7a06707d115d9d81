#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "adapter/formats/formats.h"
#include "adapter/pair_shape.h"

namespace weft::adapter {

namespace {

/// The sum of all ranks when entries 0, 2, … are the `b` halves (or the `a` halves), or nothing when shapes forbid it.
std::optional<std::int64_t> list_rank_sum(const std::vector<io::TensorEntry>& entries, bool b_first) {
  std::int64_t sum = 0;
  for (size_t i = 0; i + 1 < entries.size(); i += 2) {
    const auto& a = entries[i + (b_first ? 1 : 0)].shape;
    const auto& b = entries[i + (b_first ? 0 : 1)].shape;
    if (a.size() < 2 || b.size() < 2 || b[1] != a[0]) return std::nullopt;
    sum += a[0];
  }
  return sum;
}

}  // namespace

bool is_torch_list(const io::TensorFile& file) {
  const auto& entries = file.entries();
  for (size_t i = 0; i < entries.size(); ++i)
    if (entries[i].name != std::to_string(i)) return false;
  return !entries.empty();
}

Adapter::Data read_torch_list(const OpenedFile& opened) {
  Adapter::Data data;
  data.file = opened.tensors;
  data.info.path = opened.path;
  data.info.tensors = opened.tensors->path();
  data.info.format = "torch_list";
  data.info.type = "lora";
  const std::string file = opened.tensors->path().string();
  const auto& entries = opened.tensors->entries();
  if (entries.size() % 2 != 0)
    throw InputError(fmt::format("{}: a list of {} tensors; expected pairs of up and down", file, entries.size()));
  const auto up_first = list_rank_sum(entries, true), down_first = list_rank_sum(entries, false);
  if (!up_first && !down_first)
    throw InputError(fmt::format("{}: a list of {} tensors whose shapes are not pairs of up [out, r] and down [r, in]",
                                 file, entries.size()));
  // When both readings fit, the one with thin factors is meant.
  const bool b_first = up_first && (!down_first || *up_first <= *down_first);
  std::vector<ModuleEntry> modules;
  for (size_t i = 0; i < entries.size(); i += 2) {
    const io::TensorEntry& a = entries[i + (b_first ? 1 : 0)];
    const io::TensorEntry& b = entries[i + (b_first ? 0 : 1)];
    ModuleEntry m;
    m.info.name = std::to_string(i / 2);
    describe_pair(a, b, file, m.info);
    m.info.alpha = static_cast<double>(m.info.rank);
    m.keys.a = a.name;
    m.keys.b = b.name;
    modules.push_back(std::move(m));
  }
  data.contents = make_contents(std::move(modules), {}, file);
  return data;
}

}  // namespace weft::adapter
