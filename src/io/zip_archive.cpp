#include "io/zip_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "weft/core/error.h"

namespace weft::io {

namespace {

constexpr size_t kEndRecord = 22, kEndRecord64 = 56, kLocator64 = 20, kCentralHeader = 46, kLocalHeader = 30;
constexpr std::uint64_t kIn64 = 0xFFFFFFFF;  // "see the zip64 field"

/// Position of the end-of-central-directory record, searched backwards past a comment of at most 64 KiB.
std::optional<size_t> find_end_record(const Bytes& bytes) {
  if (bytes.size < kEndRecord) return std::nullopt;
  const size_t last = bytes.size - kEndRecord;
  const size_t first = last > 0xFFFF ? last - 0xFFFF : 0;
  for (size_t at = last + 1; at-- > first;)
    if (read_le(bytes.data + at, 4) == 0x06054b50) return at;
  return std::nullopt;
}

/// The 64-bit values of an entry's extra field replace those header fields that say kIn64, in this order.
bool apply_zip64(const std::byte* extra, size_t length, std::uint64_t& size, std::uint64_t& stored,
                 std::uint64_t& offset) {
  for (size_t at = 0; at + 4 <= length;) {
    const size_t id = read_le(extra + at, 2), bytes = read_le(extra + at + 2, 2);
    if (at + 4 + bytes > length) return false;
    if (id == 1) {
      size_t used = 0;
      for (std::uint64_t* field : {&size, &stored, &offset}) {
        if (*field != kIn64) continue;
        if (used + 8 > bytes) return false;
        *field = read_le(extra + at + 4 + used, 8);
        used += 8;
      }
      return true;
    }
    at += 4 + bytes;
  }
  return size != kIn64 && stored != kIn64 && offset != kIn64;
}

}  // namespace

struct ZipArchive::Directory {
  size_t start = 0, length = 0, count = 0;
};

void ZipArchive::fail(const std::string& what) const { throw FormatError(file_, what); }

ZipArchive::Directory ZipArchive::directory64(const Bytes& bytes, size_t end_record) const {
  if (end_record < kLocator64 || read_le(bytes.data + end_record - kLocator64, 4) != 0x07064b50)
    fail("zip64 locator is missing: damaged zip file?");
  const std::uint64_t at = read_le(bytes.data + end_record - kLocator64 + 8, 8);
  if (end_record < kEndRecord64 || at > end_record - kEndRecord64 || read_le(bytes.data + at, 4) != 0x06064b50)
    fail("zip64 directory is missing: damaged zip file?");
  return {read_le(bytes.data + at + 48, 8), read_le(bytes.data + at + 40, 8), read_le(bytes.data + at + 32, 8)};
}

ZipArchive::Directory ZipArchive::directory(const Bytes& bytes) const {
  const auto end = find_end_record(bytes);
  if (!end) fail("zip directory is missing: incomplete download?");
  Directory out{read_le(bytes.data + *end + 16, 4), read_le(bytes.data + *end + 12, 4),
                read_le(bytes.data + *end + 10, 2)};
  if (out.start == kIn64 || out.length == kIn64 || out.count == 0xFFFF) out = directory64(bytes, *end);
  if (out.start > *end || out.length > *end - out.start)
    fail(fmt::format("zip directory at byte {} does not fit in the file of {}", out.start, bytes.size));
  if (out.count > out.length / kCentralHeader)
    fail(fmt::format("zip directory of {} bytes cannot hold {} entries", out.length, out.count));
  return out;
}

size_t ZipArchive::read_entry(const Bytes& bytes, size_t at, size_t directory_start) {
  const std::byte* h = bytes.data + at;
  const size_t flags = read_le(h + 8, 2), method = read_le(h + 10, 2);
  std::uint64_t stored = read_le(h + 20, 4), size = read_le(h + 24, 4), local = read_le(h + 42, 4);
  const size_t name_length = read_le(h + 28, 2), extra_length = read_le(h + 30, 2), comment = read_le(h + 32, 2);
  const size_t total = kCentralHeader + name_length + extra_length + comment;
  if (total > bytes.size - at) fail("zip directory is cut off");
  const std::string name(bytes.text(at + kCentralHeader, name_length));
  if (!apply_zip64(h + kCentralHeader + name_length, extra_length, size, stored, local))
    fail(fmt::format("zip entry '{}': damaged zip64 sizes", name));
  if ((flags & 1) != 0) fail(fmt::format("zip entry '{}' is encrypted", name));
  if (method != 0) fail(fmt::format("zip entry '{}' is compressed; torch.save stores entries as they are", name));
  if (size != stored) fail(fmt::format("zip entry '{}': sizes {} and {} differ", name, size, stored));
  if (local > directory_start || directory_start - local < kLocalHeader || read_le(bytes.data + local, 4) != 0x04034b50)
    fail(fmt::format("zip entry '{}': no entry at byte {}", name, local));
  const size_t skip = kLocalHeader + read_le(bytes.data + local + 26, 2) + read_le(bytes.data + local + 28, 2);
  if (skip > directory_start - local || size > directory_start - local - skip)
    fail(fmt::format("zip entry '{}' of {} bytes at byte {} runs past the data: incomplete download?", name, size,
                     local));
  if (!entries_.emplace(name, ZipEntry{static_cast<size_t>(local) + skip, static_cast<size_t>(size)}).second)
    fail(fmt::format("duplicate zip entry '{}'", name));
  if (name.ends_with("/data.pkl") && std::count(name.begin(), name.end(), '/') == 1)
    prefix_ = name.substr(0, name.size() - 8);
  return total;
}

ZipArchive::ZipArchive(const Bytes& bytes, const std::string& file) : file_(file) {
  const Directory dir = directory(bytes);
  size_t at = dir.start;
  for (size_t i = 0; i < dir.count; ++i) {
    if (dir.start + dir.length - at < kCentralHeader || read_le(bytes.data + at, 4) != 0x02014b50)
      fail(fmt::format("zip directory entry {} is damaged", i));
    at += read_entry(bytes, at, dir.start);
    if (at > dir.start + dir.length) fail(fmt::format("zip directory entry {} is damaged", i));
  }
  if (prefix_.empty()) {
    const bool script = std::any_of(entries_.begin(), entries_.end(),
                                    [](const auto& e) { return e.first.find("/code/") != std::string::npos; });
    fail(script ? "a TorchScript archive, not torch.save weights"
                : "a zip file without data.pkl: not written by torch.save");
  }
}

const ZipEntry* ZipArchive::find(const std::string& name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? nullptr : &it->second;
}

}  // namespace weft::io
