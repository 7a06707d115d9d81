#include "adapter/writer_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "io/tensor_file.h"
#include "weft/core/error.h"

namespace weft::adapter {
namespace {

/// 64 bits that change when any byte does; not for secrets, only to notice what a disk or a writer got wrong.
std::uint64_t checksum_of(const void* data, size_t size) {
  constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15ULL;
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint64_t hash = size * kOdd;
  for (size_t i = 0; i < size; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + i, std::min<size_t>(8, size - i));
    hash = (hash ^ word) * kOdd;
    hash ^= hash >> 29;
  }
  return hash;
}

[[noreturn]] void fail_reread(const std::filesystem::path& path, const std::string& text) {
  throw Error(
      fmt::format("{}: what was written does not read back: {}; nothing was put in place", path.string(), text));
}

void compare_module(const std::filesystem::path& folder, const ModuleInfo& got, const ModuleInfo& want,
                    std::int64_t rank, double scale) {
  if (got.out != want.out || got.in != want.in || got.blocks != want.blocks || got.rank != rank)
    fail_reread(folder, fmt::format("module {} is [{}, {}] of rank {}, expected [{}, {}] of rank {}", want.name,
                                    got.out, got.in, got.rank, want.out, want.in, rank));
  if (got.scale != scale)
    fail_reread(folder, fmt::format("module {} has scale {}, expected {}", want.name, got.scale, scale));
}

const ModuleInfo& need_module(const std::filesystem::path& folder, const Adapter& adapter, const std::string& name) {
  const ModuleInfo* module = adapter.find(name);
  if (module == nullptr) fail_reread(folder, fmt::format("module {} is missing", name));
  return *module;
}

void compare_count(const std::filesystem::path& folder, size_t got, size_t want) {
  if (got != want) fail_reread(folder, fmt::format("it has {} modules, expected {}", got, want));
}

}  // namespace

WrittenTensor describe_written(const Tensor& tensor) {
  return {tensor.scalar_type(), tensor.sizes().vec(), checksum_of(tensor.const_data_ptr(), tensor.nbytes())};
}

void check_tensors(const std::filesystem::path& file, const std::map<std::string, WrittenTensor>& expected) {
  const auto stored = io::open_safetensors(file);
  if (stored->entries().size() != expected.size())
    fail_reread(file, fmt::format("it has {} tensors, expected {}", stored->entries().size(), expected.size()));
  for (const auto& [key, want] : expected) {
    if (stored->find(key) == nullptr) fail_reread(file, fmt::format("tensor {} is missing", key));
    const WrittenTensor got = describe_written(stored->load(key));
    stored->release(key);
    if (got.dtype != want.dtype || got.shape != want.shape || got.checksum != want.checksum)
      fail_reread(file, fmt::format("tensor {} differs", key));
  }
}

void check_modules(const std::filesystem::path& folder, const std::vector<WrittenModule>& expected) {
  const Adapter adapter = Adapter::open(folder, "output");
  compare_count(folder, adapter.modules().size(), expected.size());
  for (const WrittenModule& want : expected) {
    const ModuleInfo& got = need_module(folder, adapter, want.info.name);
    compare_module(folder, got, want.info, want.rank, 1.0);
  }
}

void check_carried(const std::filesystem::path& folder, const Adapter& source) {
  const Adapter adapter = Adapter::open(folder, "output");
  compare_count(folder, adapter.modules().size(), source.modules().size());
  for (const ModuleInfo& want : source.modules())
    compare_module(folder, need_module(folder, adapter, want.name), want, want.rank, want.scale);
}

}  // namespace weft::adapter
