#include "io/tensor_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/bytes.h"
#include "io/safetensors.h"
#include "io/torch_pickle.h"
#include "weft/core/error.h"

namespace weft::io {

std::int64_t TensorEntry::numel() const {
  std::int64_t out = 1;
  for (const std::int64_t n : shape) out *= n;
  return out;
}

const TensorEntry* TensorFile::find(const std::string& name) const {
  const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                   [](const auto& pair, const std::string& key) { return pair.first < key; });
  return at != by_name_.end() && at->first == name ? &entries_[at->second] : nullptr;
}

void TensorFile::index() {
  by_name_.clear();
  by_name_.reserve(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) by_name_.emplace_back(entries_[i].name, i);
  if (!std::is_sorted(by_name_.begin(), by_name_.end())) std::sort(by_name_.begin(), by_name_.end());
  for (size_t i = 1; i < by_name_.size(); ++i)
    if (by_name_[i - 1].first == by_name_[i].first)
      throw FormatError(path_.string(), fmt::format("duplicate tensor name '{}'", by_name_[i].first));
}

namespace {

bool looks_like_safetensors(const Bytes& bytes) {
  return bytes.size > 8 && read_le(bytes.data, 8) <= kMaxHeader && bytes.data[8] == std::byte{'{'};
}

/// What else people put behind the names of weight files, to say it instead of "neither".
std::string guess_content(std::string_view head) {
  if (head.empty()) return "the file is empty";
  if (head.starts_with("version https://git-lfs")) return "a Git LFS pointer, not the file itself: run `git lfs pull`";
  if (head.starts_with("GGUF")) return "a GGUF file, which this version does not read";
  if (head.starts_with("<!") || head.starts_with("<html")) return "a web page, not weights: failed download?";
  return "neither safetensors nor a torch.save file";
}

}  // namespace

std::unique_ptr<TensorFile> open_tensor_file(const std::filesystem::path& path) {
  Bytes bytes = Bytes::of(MappedFile::open(path));
  const std::string_view head = bytes.text(0, std::min<size_t>(bytes.size, 512));
  const bool zip = head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06");
  const bool tar = head.size() > 262 && head.substr(257, 5) == "ustar";
  if (zip || tar || head.starts_with("\x80")) {
    if (!looks_like_safetensors(bytes)) return read_torch_pickle(std::move(bytes), path);
  }
  if (looks_like_safetensors(bytes)) return read_safetensors(std::move(bytes), path);
  const std::string what = guess_content(head);
  // A damaged file deserves the reason its own reader gives.
  if (what.starts_with("neither") && path.extension() == ".safetensors")
    return read_safetensors(std::move(bytes), path);
  throw FormatError(path.string(), what);
}

std::string dtype_name(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Double: return "float64";
    case c10::ScalarType::Float: return "float32";
    case c10::ScalarType::Half: return "float16";
    case c10::ScalarType::BFloat16: return "bfloat16";
    case c10::ScalarType::Long: return "int64";
    case c10::ScalarType::Int: return "int32";
    case c10::ScalarType::Short: return "int16";
    case c10::ScalarType::Char: return "int8";
    case c10::ScalarType::Byte: return "uint8";
    case c10::ScalarType::Bool: return "bool";
    case c10::ScalarType::UInt16: return "uint16";
    case c10::ScalarType::UInt32: return "uint32";
    case c10::ScalarType::UInt64: return "uint64";
    case c10::ScalarType::Float8_e4m3fn: return "float8_e4m3";
    case c10::ScalarType::Float8_e5m2: return "float8_e5m2";
    case c10::ScalarType::Float8_e8m0fnu: return "float8_e8m0";
    case c10::ScalarType::ComplexFloat: return "complex64";
    default: return c10::toString(dtype);
  }
}

}  // namespace weft::io
