#pragma once

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "weft/core/value.h"
#include "weft/model/model.h"

namespace weft::cli {

/// A base model as `inspect` shows it: what its config and the headers of its weights say.
struct BaseInspection {
  /// The weight of a module, as stored.
  struct Module {
    std::string name;
    std::vector<std::int64_t> shape;  ///< empty when the checkpoint has no such weight (a tied head)
    std::string dtype;
  };

  model::ModelInfo info;
  std::vector<Module> modules;
  std::string tokenizer;              ///< the file it would be read from, or empty
  std::vector<std::string> warnings;  ///< what is unsupported or worth knowing, the tokenizer's included
};

/// True for a folder with a config.json and no adapter_config.json.
bool is_base_model(const std::filesystem::path& path);
/// Reads config and headers. @throws InputError when even those cannot be read.
BaseInspection inspect_base(const std::filesystem::path& path);
/// Tables for people.
void print_base(const BaseInspection& base, bool modules, std::ostream& out);
/// The same and more as JSON.
Value base_json(const BaseInspection& base);

}  // namespace weft::cli
