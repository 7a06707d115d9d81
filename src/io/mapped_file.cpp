#include "io/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "weft/core/error.h"

namespace weft::io {

namespace {

[[noreturn]] void cannot_map(const std::filesystem::path& path, int code) {
  const std::string text = fmt::format("{}: cannot read: {}", path.string(), std::strerror(code));
  if (code == ENOMEM || code == EMFILE || code == ENFILE) throw Error(text);  // the machine's limits, not the file's
  throw InputError(text);
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: a pipe without a writer must not hang us before we see that it is no regular file.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) cannot_map(path, errno);
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    const int code = errno;
    ::close(fd);
    cannot_map(path, code);
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(fd);
    throw InputError(fmt::format("{}: {}, expected a file", path.string(),
                                 S_ISDIR(info.st_mode) ? "is a folder" : "is not a regular file"));
  }
  std::shared_ptr<MappedFile> out(new MappedFile);
  out->path_ = path;
  out->size_ = static_cast<size_t>(info.st_size);
  if (out->size_ > 0) {
    void* at = ::mmap(nullptr, out->size_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int code = errno;
    if (at == MAP_FAILED) {
      out->size_ = 0;
      ::close(fd);
      cannot_map(path, code);
    }
    out->data_ = static_cast<const std::byte*>(at);
  }
  ::close(fd);
  return out;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(size_t offset, size_t length) const {
  if (offset >= size_) return;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t last = offset + std::min(length, size_ - offset);
  const size_t begin = (offset + page - 1) / page * page;
  // The file's last page is ours alone when the range reaches the end.
  const size_t end = last == size_ ? last : last / page * page;
  if (begin < end) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace weft::io
