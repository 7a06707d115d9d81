#include "io/bytes.h"

#include <ATen/ATen.h>

#include <cstring>

namespace weft::io {

Bytes Bytes::of(std::shared_ptr<const MappedFile> mapped) {
  const std::byte* data = mapped->data();
  const size_t size = mapped->size();
  return {data, size, std::move(mapped)};
}

void Bytes::release(size_t offset, size_t length) const {
  if (file != nullptr) file->release(offset, length);
}

std::uint64_t read_le(const std::byte* at, size_t width) {
  std::uint64_t out = 0;
  for (size_t i = 0; i < width; ++i) out |= std::to_integer<std::uint64_t>(at[i]) << (8 * i);
  return out;
}

bool checked_bytes(const std::vector<std::int64_t>& sizes, std::int64_t item, std::int64_t& out) {
  out = item;
  for (const std::int64_t n : sizes)
    if (n == 0) return out = 0, true;
  for (const std::int64_t n : sizes)
    if (n < 0 || __builtin_mul_overflow(out, n, &out)) return false;
  return true;
}

Tensor tensor_over(const Bytes& bytes, size_t offset, size_t extent, const std::vector<std::int64_t>& sizes,
                   const std::vector<std::int64_t>& strides, c10::ScalarType dtype) {
  const size_t item = c10::elementSize(dtype);
  if (extent == 0) return at::empty(sizes, dtype);
  void* start = const_cast<std::byte*>(bytes.data + offset);
  if (dtype == at::kBool) {
    // A stored bool may be any byte; only 0 and 1 are values of the type.
    return at::from_blob(start, sizes, strides, at::TensorOptions(at::kByte)).ne(0).contiguous();
  }
  if (reinterpret_cast<std::uintptr_t>(start) % item == 0) {
    auto keep = bytes.file;
    return at::from_blob(
               start, sizes, strides, [keep](void*) {}, at::TensorOptions(dtype))
        .contiguous();
  }
  const Tensor copy = at::empty({static_cast<std::int64_t>((extent + item - 1) / item)}, dtype);
  std::memcpy(copy.data_ptr(), start, extent);
  return copy.as_strided(sizes, strides).contiguous();
}

}  // namespace weft::io
