#include "train/checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/staged.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "io/safetensors_writer.h"
#include "weft/core/error.h"
#include "weft/core/random.h"

namespace weft::train {
namespace {

constexpr const char* kFormat = "weft training";
constexpr const char* kVersion = "1";
/// Quoting may double a text, and a header that is too large could be written but not read.
constexpr size_t kMostState = size_t{40} << 20;

/// 64 bits that change when a bit of what a checkpoint holds does: not against forgery, but against bad disks.
class Checksum {
 public:
  explicit Checksum(const std::string& state) : value_(hash_key(state)) {}

  void add(const std::string& name, const Tensor& tensor) {
    value_ = hash_key(name, value_);
    const auto* bytes = static_cast<const char*>(tensor.const_data_ptr());
    std::uint64_t hash = tensor.nbytes();
    for (size_t i = 0; i < tensor.nbytes(); i += 4) {
      std::uint32_t word = 0;
      std::memcpy(&word, bytes + i, 4);
      hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
      hash ^= hash >> 29;
    }
    value_ = hash_key(fmt::format("{}", hash), value_);
  }

  std::string text() const { return fmt::format("{:016x}", value_); }

 private:
  std::uint64_t value_;
};

/// True if Value::of() was given a number somewhere that JSON cannot say.
bool holds_non_finite(const Value& value) {
  const std::string_view text = value.scalar;
  if (value.is_scalar()) return !value.quoted && (text.ends_with("nan") || text.ends_with("inf"));
  return std::any_of(value.list.begin(), value.list.end(), holds_non_finite) ||
         std::any_of(value.map.begin(), value.map.end(),
                     [](const auto& item) { return holds_non_finite(item.second); });
}

std::string state_text(const std::filesystem::path& path, const Value& state) {
  std::string text = io::to_json(state, -1);
  if (text.size() > kMostState)
    throw Error(fmt::format("{}: the state of this training takes {} bytes, at most {} can be kept", path.string(),
                            text.size(), kMostState));
  if (!state.is_map() || holds_non_finite(state))
    throw Error(fmt::format("{}: the state of this training cannot be kept: {}", path.string(),
                            state.is_map() ? "it holds a number that is not finite" : "it is no JSON object"));
  return text;
}

/// The value of `key` in the header of `file`.
const std::string& header_text(const io::TensorFile& file, const std::string& key) {
  for (const auto& [name, value] : file.metadata())
    if (name == key) return value;
  throw FormatError(file.path().string(), fmt::format("has no '{}', so it is no checkpoint of a training", key));
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                     const Value& state) {
  const std::string text = state_text(path, state);
  std::map<std::string, Tensor> sorted;
  for (const auto& [name, tensor] : tensors) {
    const Tensor plain = tensor.detach().to(at::kCPU).contiguous();
    if (plain.scalar_type() != at::kFloat || !sorted.emplace(name, plain).second)
      throw Error(fmt::format("{}: tensor '{}' {}", path.string(), name,
                              plain.scalar_type() != at::kFloat ? "is not float32" : "is given twice"));
  }
  Checksum checksum(text);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : sorted) {
    names.push_back(name);
    checksum.add(name, tensor);
  }
  StagedFile staged(path, true);
  io::SafetensorsWriter writer(
      staged.path(), names,
      {{"format", kFormat}, {"version", kVersion}, {"checksum", checksum.text()}, {"state", text}});
  for (const auto& [name, tensor] : sorted) writer.add(name, tensor);
  writer.finish();
  staged.commit();
}

Loaded load_checkpoint(const std::filesystem::path& path) {
  const auto file = io::open_safetensors(path);
  const std::string where = path.string();
  if (header_text(*file, "format") != kFormat || header_text(*file, "version") != kVersion)
    throw FormatError(where, "is no checkpoint of a training that this version of Weft knows");
  const std::string& text = header_text(*file, "state");
  Loaded out;
  out.state = io::parse_json(text, where);
  if (!out.state.is_map()) throw FormatError(where, "its 'state' is not a JSON object");
  Checksum checksum(text);
  for (const io::TensorEntry& entry : file->entries())
    if (entry.dtype != at::kFloat)
      throw FormatError(where, fmt::format("'{}' is {}, expected float32", entry.name, io::dtype_name(entry.dtype)));
    else
      out.tensors.emplace(entry.name, file->load(entry.name).clone());
  for (const auto& [name, tensor] : out.tensors) checksum.add(name, tensor);
  if (checksum.text() != header_text(*file, "checksum"))
    throw FormatError(where, "its content is not what was written (the checksum differs)");
  return out;
}

}  // namespace weft::train
