#include "io/torch_pickle.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "io/pickle_machine.h"
#include "io/torch_legacy.h"
#include "io/utf8.h"
#include "io/zip_archive.h"
#include "weft/core/error.h"

namespace weft::io {

namespace {

using PickleKind = PickleNode::Kind;

constexpr size_t kMaxPickle = size_t{100} << 20;
constexpr int kMaxNesting = 100;
/// Shared containers make a small pickle a huge tree; real state dicts have one step per tensor.
constexpr size_t kMaxSteps = 1'000'000;
constexpr size_t kMaxText = size_t{64} << 20;
/// A view with stride 0 is larger than its storage; this much is read for it, no more.
constexpr std::int64_t kMaxExpanded = std::int64_t{64} << 20;

/// Where a tensor's elements lie.
struct Placement {
  size_t offset = 0, extent = 0;  // bytes in the file
  std::vector<std::int64_t> strides;
};

class TorchPickleFile final : public TensorFile {
 public:
  TorchPickleFile(Bytes bytes, const std::filesystem::path& path) : bytes_(std::move(bytes)), file_(path.string()) {
    path_ = path;
    const std::string_view head = bytes_.text(0, std::min<size_t>(bytes_.size, 512));
    if (head.size() > 262 && head.substr(257, 5) == "ustar")
      fail("the tar format of torch before 0.1.10 is not read; save it again with a newer torch");
    if (head.starts_with("PK"))
      open_zip();
    else
      open_legacy();
    index();
  }

  Tensor load(const std::string& name) const override {
    const TensorEntry& entry = known(name);
    const Placement& p = placement_of(entry);
    return tensor_over(bytes_, p.offset, p.extent, entry.shape, p.strides, entry.dtype);
  }
  void release(const std::string& name) const override {
    const Placement& p = placement_of(known(name));
    bytes_.release(p.offset, p.extent);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw FormatError(file_, what); }
  const TensorEntry& known(const std::string& name) const {
    const TensorEntry* entry = find(name);
    if (entry == nullptr) throw InputError(fmt::format("{}: no tensor '{}'", file_, name));
    return *entry;
  }
  const Placement& placement_of(const TensorEntry& entry) const {
    return placements_[static_cast<size_t>(&entry - entries_.data())];
  }

  void open_zip() {
    const ZipArchive zip(bytes_, file_);
    const ZipEntry pickle = *zip.find(zip.prefix() + "data.pkl");
    if (const ZipEntry* order = zip.find(zip.prefix() + "byteorder"))
      if (bytes_.text(order->offset, order->size) != "little") fail("byte order is not little-endian");
    if (pickle.size > kMaxPickle) fail(fmt::format("data.pkl has {} bytes, at most {}", pickle.size, kMaxPickle));
    PickleMachine machine(bytes_, pickle.offset, pickle.offset + pickle.size, file_);
    const std::uint32_t root = machine.run();
    find_storage_ = [&](const PickleNode& storage) {
      const std::string entry = fmt::format("{}data/{}", zip.prefix(), storage.text);
      const ZipEntry* at = zip.find(entry);
      if (at == nullptr) fail(fmt::format("storage '{}' is missing: incomplete file?", entry));
      return StorageRange{at->offset, at->size};
    };
    collect(machine, root);
  }

  void open_legacy() {
    const size_t start = legacy_body(bytes_, file_);
    PickleMachine machine(bytes_, start, start + std::min(bytes_.size - start, kMaxPickle), file_);
    const std::uint32_t root = machine.run();
    const auto storages = legacy_storages(bytes_, machine, file_);
    find_storage_ = [&](const PickleNode& storage) {
      const auto at = storages.find(storage.text);
      if (at == storages.end()) fail(fmt::format("storage '{}' is missing: incomplete file?", storage.text));
      return at->second;
    };
    collect(machine, root);
  }

  void collect(const PickleMachine& machine, std::uint32_t root) {
    if (machine.node(root).kind == PickleKind::kTensor)
      take(machine, machine.node(root), "tensor");
    else
      walk(machine, root, "", 0);
    find_storage_ = nullptr;
  }

  /// Tensors become entries, texts and numbers metadata, containers prefixes.
  void walk(const PickleMachine& machine, std::uint32_t i, const std::string& name, int depth) {
    if (depth > kMaxNesting) fail(fmt::format("containers nested deeper than {} levels", kMaxNesting));
    if (++steps_ > kMaxSteps) fail(fmt::format("more than {} values", kMaxSteps));
    const PickleNode& node = machine.node(i);
    text_bytes_ += name.size() + (node.kind == PickleKind::kString ? node.text.size() : 0);
    if (text_bytes_ > kMaxText) fail(fmt::format("names and texts of more than {} bytes", kMaxText));
    const std::string prefix = name.empty() ? name : name + ".";
    switch (node.kind) {
      case PickleKind::kTensor: return take(machine, node, name);
      case PickleKind::kDict:
        for (size_t k = 0; k + 1 < node.items.size(); k += 2)
          walk(machine, node.items[k + 1], prefix + key_text(machine.node(node.items[k])), depth + 1);
        return;
      case PickleKind::kList:
      case PickleKind::kTuple:
      case PickleKind::kSet:
        for (size_t k = 0; k < node.items.size(); ++k)
          walk(machine, node.items[k], prefix + std::to_string(k), depth + 1);
        return;
      case PickleKind::kString:
        if (valid_utf8(node.text)) metadata_.emplace_back(name, std::string(node.text));
        return;
      case PickleKind::kInt: metadata_.emplace_back(name, std::to_string(node.integer)); return;
      case PickleKind::kBool: metadata_.emplace_back(name, node.integer != 0 ? "true" : "false"); return;
      case PickleKind::kFloat: metadata_.emplace_back(name, fmt::format("{}", node.real)); return;
      default: return;
    }
  }

  std::string key_text(const PickleNode& key) const {
    if (key.kind == PickleKind::kInt) return std::to_string(key.integer);
    if (key.kind != PickleKind::kString) fail("a dict key is neither text nor a whole number");
    if (!valid_utf8(key.text)) fail("a dict key is not valid UTF-8");
    return std::string(key.text);
  }

  static std::vector<std::int64_t> integers(const PickleMachine& machine, std::uint32_t tuple) {
    std::vector<std::int64_t> out;
    for (const std::uint32_t k : machine.node(tuple).items) out.push_back(machine.node(k).integer);
    return out;
  }

  void take(const PickleMachine& machine, const PickleNode& tensor, const std::string& name) {
    const PickleNode& storage = machine.node(tensor.items[0]);
    TensorEntry entry{name, storage.dtype, integers(machine, tensor.items[1])};
    Placement place;
    place.strides = integers(machine, tensor.items[2]);
    const auto item = static_cast<std::int64_t>(c10::elementSize(entry.dtype));
    const StorageRange range = find_storage_(storage);
    std::int64_t storage_bytes = 0;
    if (!checked_bytes({storage.integer}, item, storage_bytes) || static_cast<size_t>(storage_bytes) > range.size)
      fail(
          fmt::format("tensor '{}': its storage should have {} elements, the file has {} bytes of it: incomplete "
                      "download?",
                      name, storage.integer, range.size));
    const std::int64_t extent = extent_of(entry, place.strides, tensor.integer, storage.integer);
    place.offset = range.offset + (extent == 0 ? 0 : static_cast<size_t>(tensor.integer * item));
    place.extent = static_cast<size_t>(extent * item);
    std::int64_t full = 0;
    if (!checked_bytes(entry.shape, item, full) || full > std::max(storage_bytes, kMaxExpanded))
      fail(fmt::format("tensor '{}' of shape [{}] is far larger than its storage", name, fmt::join(entry.shape, ", ")));
    placements_.push_back(std::move(place));
    entries_.push_back(std::move(entry));
  }

  /// Elements from the first to behind the last one touched; checked against the storage.
  std::int64_t extent_of(const TensorEntry& entry, const std::vector<std::int64_t>& strides, std::int64_t offset,
                         std::int64_t elements) const {
    const auto bad = [&](std::string_view what) {
      fail(fmt::format("tensor '{}': {} (shape [{}], strides [{}], offset {}, storage of {} elements)", entry.name,
                       what, fmt::join(entry.shape, ", "), fmt::join(strides, ", "), offset, elements));
    };
    if (entry.shape.size() != strides.size()) bad("shape and strides differ in length");
    if (entry.shape.size() > kMaxRank) bad("too many dimensions");
    if (offset < 0) bad("negative offset");
    bool empty = false;
    for (size_t k = 0; k < strides.size(); ++k) {
      if (entry.shape[k] < 0) bad("negative size");
      if (strides[k] < 0) bad("negative stride");
      empty = empty || entry.shape[k] == 0;
    }
    if (empty) return 0;
    std::int64_t last = offset;
    for (size_t k = 0; k < strides.size(); ++k) {
      std::int64_t step = 0;
      if (__builtin_mul_overflow(entry.shape[k] - 1, strides[k], &step) || __builtin_add_overflow(last, step, &last))
        bad("overflow");
    }
    if (last >= elements) bad("reaches outside its storage");
    return last - offset + 1;
  }

  Bytes bytes_;
  std::string file_;
  std::vector<Placement> placements_;
  std::function<StorageRange(const PickleNode&)> find_storage_;  // only while opening
  size_t steps_ = 0, text_bytes_ = 0;
};

}  // namespace

std::unique_ptr<TensorFile> read_torch_pickle(Bytes bytes, const std::filesystem::path& path) {
  return std::make_unique<TorchPickleFile>(std::move(bytes), path);
}

std::unique_ptr<TensorFile> open_torch_pickle(const std::filesystem::path& path) {
  return read_torch_pickle(Bytes::of(MappedFile::open(path)), path);
}

}  // namespace weft::io
