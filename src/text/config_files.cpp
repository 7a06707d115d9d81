#include "text/config_files.h"

#include <fmt/format.h>

#include "io/json.h"
#include "weft/core/error.h"

namespace weft::text {

namespace {

/// A token written as its text or as an object with `content`; null means none.
void read_token(const Value& config, const std::string& name, std::optional<std::string>& out) {
  const Value* value = config.find(name);
  if (out || value == nullptr || value->is_null()) return;
  const Value* const content = value->is_map() ? value->find("content") : value;
  if (content == nullptr || !content->is_scalar() || !content->quoted)
    throw FormatError(value->place.text(), fmt::format("'{}' must be a token, got {}", name, value->describe()));
  out = content->scalar;
}

void read_tokens(const Value& config, ConfigFiles& files) {
  read_token(config, "bos_token", files.bos);
  read_token(config, "eos_token", files.eos);
  read_token(config, "pad_token", files.pad);
  read_token(config, "unk_token", files.unk);
}

std::optional<bool> read_flag(const Value& config, const std::string& name) {
  const Value* const value = config.find(name);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (!value->boolean())
    throw FormatError(value->place.text(), fmt::format("'{}' must be true or false, got {}", name, value->describe()));
  return value->boolean();
}

std::optional<Value> read_config(const std::filesystem::path& path) {
  std::error_code none;
  if (!std::filesystem::exists(path, none)) return std::nullopt;
  Value value = io::read_json(path);
  if (!value.is_map()) throw FormatError(path.string(), "expected an object");
  return value;
}

}  // namespace

ConfigFiles read_config_files(const std::filesystem::path& folder) {
  ConfigFiles files;
  if (std::optional<Value> config = read_config(folder / "tokenizer_config.json")) {
    read_tokens(*config, files);
    files.add_bos = read_flag(*config, "add_bos_token");
    files.add_eos = read_flag(*config, "add_eos_token");
    if (const Value* const name = config->find("tokenizer_class"); name != nullptr && name->is_scalar())
      files.tokenizer_class = name->scalar;
    files.config = std::move(*config);
  }
  if (const std::optional<Value> map = read_config(folder / "special_tokens_map.json")) read_tokens(*map, files);
  return files;
}

}  // namespace weft::text
