#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "support/make_adapter.h"
#include "weft/adapter/adapter.h"

namespace weft::test {

/// A folder of tests/golden/adapters.
inline std::filesystem::path variant(const std::string& name) {
  return std::filesystem::path(WEFT_SOURCE_DIR) / "tests" / "golden" / "adapters" / name;
}

/// The names of all folders there, sorted.
inline std::vector<std::string> all_variants() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(variant("")))
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// True if no delta of this adapter can be had without its base, or none at all.
inline bool is_refused(const adapter::Adapter& a) { return !a.info().refusal.empty() || !a.info().needs_base.empty(); }

/// An adapter with the same config and keys as `original` and other, random numbers; `name` becomes its folder.
inline adapter::Adapter with_other_numbers(const adapter::Adapter& original, const std::filesystem::path& folder) {
  NamedTensors tensors;
  for (const std::string& key : original.keys()) {
    const at::Tensor x = original.load_key(key);
    tensors.emplace_back(key, x.is_floating_point() ? at::randn(x.sizes()).to(x.scalar_type()) : x);
  }
  write_tensors(folder / "adapter_model.safetensors", tensors);
  std::filesystem::copy_file(original.info().path / "adapter_config.json", folder / "adapter_config.json");
  return adapter::Adapter::open(folder);
}

}  // namespace weft::test
