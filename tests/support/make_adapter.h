#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "io/safetensors_writer.h"

namespace weft::test {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Writes text to a file, creating its folder.
inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// Writes a safetensors file, creating its folder.
inline void write_tensors(const std::filesystem::path& path, const NamedTensors& tensors,
                          std::vector<std::pair<std::string, std::string>> metadata = {{"format", "pt"}}) {
  std::filesystem::create_directories(path.parent_path());
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  io::SafetensorsWriter writer(path, names, std::move(metadata));
  for (const auto& [name, tensor] : tensors) writer.add(name, tensor);
  writer.finish();
}

/// Writes a PEFT folder: `adapter_config.json` as given and `adapter_model.safetensors` with the tensors under the
/// names as given (full keys, `base_model.model.` included). Returns the folder.
inline std::filesystem::path write_peft(const std::filesystem::path& dir, const std::string& config_json,
                                        const NamedTensors& tensors) {
  write_text(dir / "adapter_config.json", config_json);
  write_tensors(dir / "adapter_model.safetensors", tensors);
  return dir;
}

/// A pair of factors for one linear module under PEFT's names, drawn from torch's global generator.
inline void add_pair(NamedTensors& tensors, const std::string& module, std::int64_t out, std::int64_t in,
                     std::int64_t rank, at::ScalarType dtype = at::kFloat) {
  const std::string stem = "base_model.model." + module;
  tensors.emplace_back(stem + ".lora_A.weight", at::randn({rank, in}).to(dtype));
  tensors.emplace_back(stem + ".lora_B.weight", at::randn({out, rank}).to(dtype));
}

}  // namespace weft::test
