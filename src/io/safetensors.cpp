#include "io/safetensors.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "io/safetensors_header.h"
#include "weft/core/error.h"

namespace weft::io {

namespace {

struct DtypeName {
  std::string_view name;
  c10::ScalarType dtype;
};

constexpr std::array<DtypeName, 17> kSafetensorsDtypes{{
    {"F64", c10::ScalarType::Double},
    {"F32", c10::ScalarType::Float},
    {"F16", c10::ScalarType::Half},
    {"BF16", c10::ScalarType::BFloat16},
    {"I64", c10::ScalarType::Long},
    {"I32", c10::ScalarType::Int},
    {"I16", c10::ScalarType::Short},
    {"I8", c10::ScalarType::Char},
    {"U8", c10::ScalarType::Byte},
    {"BOOL", c10::ScalarType::Bool},
    {"U16", c10::ScalarType::UInt16},
    {"U32", c10::ScalarType::UInt32},
    {"U64", c10::ScalarType::UInt64},
    {"F8_E4M3", c10::ScalarType::Float8_e4m3fn},
    {"F8_E5M2", c10::ScalarType::Float8_e5m2},
    {"F8_E8M0", c10::ScalarType::Float8_e8m0fnu},
    {"C64", c10::ScalarType::ComplexFloat},
}};

struct Range {
  std::int64_t begin = 0, end = 0;
};

class SafetensorsFile final : public TensorFile {
 public:
  SafetensorsFile(Bytes bytes, const std::filesystem::path& path) : bytes_(std::move(bytes)) {
    path_ = path;
    const size_t length = header_length();
    data_ = 8 + length;
    Header header = scan_header(bytes_.text(8, length), path_.string());
    metadata_ = std::move(header.metadata);
    entries_.reserve(header.tensors.size());
    ranges_.reserve(header.tensors.size());
    for (HeaderTensor& t : header.tensors) take(t);
    index();
    check_cover();
  }

  Tensor load(const std::string& name) const override {
    const TensorEntry& entry = known(name);
    const Range range = range_of(entry);
    std::vector<std::int64_t> strides(entry.shape.size(), 1);
    for (size_t k = strides.size(); k-- > 1;) strides[k - 1] = strides[k] * entry.shape[k];
    return tensor_over(bytes_, data_ + static_cast<size_t>(range.begin), static_cast<size_t>(range.end - range.begin),
                       entry.shape, strides, entry.dtype);
  }

  void release(const std::string& name) const override {
    const Range range = range_of(known(name));
    bytes_.release(data_ + static_cast<size_t>(range.begin), static_cast<size_t>(range.end - range.begin));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw FormatError(path_.string(), what); }

  const TensorEntry& known(const std::string& name) const {
    const TensorEntry* entry = find(name);
    if (entry == nullptr) throw InputError(fmt::format("{}: no tensor '{}'", path_.string(), name));
    return *entry;
  }
  Range range_of(const TensorEntry& entry) const { return ranges_[static_cast<size_t>(&entry - entries_.data())]; }

  size_t header_length() const {
    if (bytes_.size < 8)
      fail(fmt::format("{} bytes are too few for a safetensors file: empty or incomplete download?", bytes_.size));
    const std::uint64_t length = read_le(bytes_.data, 8);
    if (length > kMaxHeader)
      fail(fmt::format("header length {} is more than {}: not a safetensors file?", length, kMaxHeader));
    if (length > bytes_.size - 8)
      fail(fmt::format("the header ends at byte {}, the file has {}: incomplete download?", length + 8, bytes_.size));
    if (length < 2 || bytes_.data[8] != std::byte{'{'})
      fail("the header does not start with '{': not a safetensors file?");
    return static_cast<size_t>(length);
  }

  void take(HeaderTensor& t) {
    const auto known_dtype = std::find_if(kSafetensorsDtypes.begin(), kSafetensorsDtypes.end(),
                                          [&](const DtypeName& d) { return d.name == t.dtype; });
    if (known_dtype == kSafetensorsDtypes.end())
      fail(fmt::format("tensor '{}': unknown dtype '{}', expected F32, F16, BF16, F64 or an integer type", t.name,
                       t.dtype));
    const auto item = static_cast<std::int64_t>(c10::elementSize(known_dtype->dtype));
    std::int64_t need = 0;
    if (!checked_bytes(t.shape, item, need))
      fail(fmt::format("tensor '{}': shape [{}] overflows", t.name, fmt::join(t.shape, ", ")));
    if (t.begin > t.end) fail(fmt::format("tensor '{}': data_offsets [{}, {}] run backwards", t.name, t.begin, t.end));
    if (t.end - t.begin != need)
      fail(fmt::format("tensor '{}': {} of shape [{}] needs {} bytes, data_offsets give {}", t.name, t.dtype,
                       fmt::join(t.shape, ", "), need, t.end - t.begin));
    const std::uint64_t end = data_ + static_cast<std::uint64_t>(t.end);
    if (end > bytes_.size)
      fail(fmt::format("tensor '{}' ends at byte {}, the file has {}: incomplete download?", t.name, end, bytes_.size));
    ranges_.push_back({t.begin, t.end});
    entries_.push_back({std::move(t.name), known_dtype->dtype, std::move(t.shape)});
  }

  /// The format demands that tensors cover the data section without overlap or gap.
  void check_cover() const {
    std::vector<size_t> order(ranges_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto before = [&](size_t a, size_t b) {
      return ranges_[a].begin != ranges_[b].begin ? ranges_[a].begin < ranges_[b].begin
                                                  : ranges_[a].end < ranges_[b].end;
    };
    if (!std::is_sorted(order.begin(), order.end(), before)) std::sort(order.begin(), order.end(), before);
    std::int64_t at = 0;
    for (const size_t i : order) {
      if (ranges_[i].begin != at)
        fail(fmt::format("tensor '{}' starts at data byte {}, the one before ends at {}: tensors {}", entries_[i].name,
                         ranges_[i].begin, at, ranges_[i].begin < at ? "overlap" : "leave a gap"));
      at = ranges_[i].end;
    }
    if (data_ + static_cast<size_t>(at) != bytes_.size)
      fail(fmt::format("the last tensor ends at byte {}, the file has {}: bytes without a tensor",
                       data_ + static_cast<size_t>(at), bytes_.size));
  }

  Bytes bytes_;
  size_t data_ = 0;  // where the data section starts
  std::vector<Range> ranges_;
};

}  // namespace

std::string safetensors_dtype(c10::ScalarType dtype) {
  for (const DtypeName& d : kSafetensorsDtypes)
    if (d.dtype == dtype) return std::string(d.name);
  return {};
}

std::unique_ptr<TensorFile> read_safetensors(Bytes bytes, const std::filesystem::path& path) {
  return std::make_unique<SafetensorsFile>(std::move(bytes), path);
}

std::unique_ptr<TensorFile> open_safetensors(const std::filesystem::path& path) {
  return read_safetensors(Bytes::of(MappedFile::open(path)), path);
}

}  // namespace weft::io
