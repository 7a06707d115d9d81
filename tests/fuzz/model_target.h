#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "io/checkpoint.h"
#include "io/json.h"
#include "model/model_data.h"
#include "weft/core/error.h"

namespace weft::fuzz {

/// Headers of the tiny checkpoint of a family, so that a config can get past its first tensor.
inline const io::Checkpoint& tiny_checkpoint(const std::string& family) {
  namespace fs = std::filesystem;
  static std::map<std::string, io::Checkpoint> opened;
  const fs::path models = fs::path(WEFT_SOURCE_DIR) / "tests/golden/models";
  std::string folder = "llama";
  for (const std::string& known : model::families())
    if (known == family && fs::exists(models / known)) folder = known;
  const auto at = opened.find(folder);
  return at != opened.end() ? at->second : opened.emplace(folder, io::Checkpoint::open(models / folder)).first->second;
}

/// Any config.json may be refused with an Error, nothing else may happen.
inline void try_config(const std::uint8_t* data, std::size_t size) {
  try {
    const Value root = io::parse_json({reinterpret_cast<const char*>(data), size}, "config.json");
    const Value* family = root.is_map() ? root.find("model_type") : nullptr;
    const std::string name = family != nullptr && family->is_scalar() ? family->scalar : std::string();
    model::inspect_config(root, "no-such-folder", tiny_checkpoint(name));
  } catch (const Error&) {
  }
}

}  // namespace weft::fuzz
