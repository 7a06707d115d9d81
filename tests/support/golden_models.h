#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/tensor_file.h"
#include "weft/core/value.h"

namespace weft::test {

/// Tiny models made by transformers, and what it computes with them: see tests/golden/README.md.
inline std::filesystem::path golden_models() { return std::filesystem::path(WEFT_SOURCE_DIR) / "tests/golden/models"; }

struct GoldenModel {
  std::string folder, family, kind;
  std::filesystem::path path;
  Value facts;                              ///< golden.json
  std::shared_ptr<io::TensorFile> tensors;  ///< golden.safetensors

  /// `<part>/<name>`, or undefined.
  Tensor tensor(const std::string& part, const std::string& name) const {
    const std::string key = part + "/" + name;
    return tensors->find(key) == nullptr ? Tensor() : tensors->load(key);
  }
};

/// All of them, in the order of index.json.
inline std::vector<GoldenModel> all_golden_models() {
  const Value index = io::read_json(golden_models() / "index.json");
  std::vector<GoldenModel> out;
  for (const Value& row : index.find("models")->list) {
    GoldenModel model;
    model.folder = row.find("folder")->scalar, model.family = row.find("family")->scalar;
    model.kind = row.find("kind")->scalar;
    model.path = golden_models() / model.folder;
    model.facts = io::read_json(model.path / "golden.json");
    model.tensors = io::open_safetensors(model.path / "golden.safetensors");
    out.push_back(std::move(model));
  }
  return out;
}

/// A list of integers of a golden file.
inline std::vector<std::int64_t> integers(const Value* list) {
  std::vector<std::int64_t> out;
  if (list != nullptr)
    for (const Value& item : list->list) out.push_back(*item.integer());
  return out;
}

}  // namespace weft::test
