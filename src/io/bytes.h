#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/mapped_file.h"
#include "weft/core/tensor.h"

namespace weft::io {

/// The content of a tensor file: a mapped file, or memory that outlives every reader of it (tests and fuzz targets).
struct Bytes {
  const std::byte* data = nullptr;
  size_t size = 0;
  std::shared_ptr<const MappedFile> file;  ///< null for plain memory

  static Bytes of(std::shared_ptr<const MappedFile> mapped);
  static Bytes of(std::span<const std::byte> memory) { return {memory.data(), memory.size(), nullptr}; }

  /// The bytes [offset, offset + length) as text; the caller has checked the range.
  std::string_view text(size_t offset, size_t length) const {
    return {reinterpret_cast<const char*>(data) + offset, length};
  }
  /// Gives pages back to the system when the bytes are a mapped file.
  void release(size_t offset, size_t length) const;
};

/// Tensors of more dimensions are refused; no adapter has them.
inline constexpr size_t kMaxRank = 8;

/// A little-endian unsigned integer of `width` bytes (1 to 8).
std::uint64_t read_le(const std::byte* at, size_t width);

/// Product of sizes times `item`; false on overflow of int64.
bool checked_bytes(const std::vector<std::int64_t>& sizes, std::int64_t item, std::int64_t& out);

/// A tensor over the `extent` bytes at `offset`, contiguous: a view where alignment and strides allow, else a copy.
/// The caller has checked that `extent` covers sizes and strides and lies inside `bytes`.
Tensor tensor_over(const Bytes& bytes, size_t offset, size_t extent, const std::vector<std::int64_t>& sizes,
                   const std::vector<std::int64_t>& strides, c10::ScalarType dtype);

}  // namespace weft::io
