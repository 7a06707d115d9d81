#include "core/staged.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace weft {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void stage_error(const fs::path& path, std::string_view what, int code) {
  throw Error(fmt::format("{}: {}: {}", path.string(), what, std::strerror(code)));
}

int stage_rename(const fs::path& from, const fs::path& to, unsigned flags) {
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags));
}

bool stage_flags_unknown(int code) { return code == EINVAL || code == ENOSYS || code == ENOTSUP; }

void stage_sync(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) stage_error(path, "cannot sync", errno);
  // Some file systems cannot sync folders; their answer is no failure to write.
  const int code = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (code != 0 && code != EINVAL && code != EROFS) stage_error(path, "cannot write", code);
}

/// True for a folder that may be replaced: empty, or one that Weft or PEFT wrote.
bool stage_replaceable(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_empty(folder, ignored) || fs::exists(folder / "adapter_config.json", ignored) ||
         fs::exists(folder / "weft.json", ignored);
}

/// Without trailing separators and `.`; symbolic links to folders resolved, so that the folder is replaced, not the
/// link.
fs::path stage_destination(const fs::path& given) {
  fs::path out = given.empty() ? given : fs::absolute(given).lexically_normal();
  if (!out.has_filename()) out = out.parent_path();
  if (!out.has_filename() || given.filename() == "." || given.filename() == "..")
    throw UsageError(fmt::format("'{}' cannot be an output folder: name a new one", given.string()));
  std::error_code code;
  if (fs::is_symlink(out, code)) {
    const fs::path real = fs::canonical(out, code);
    if (code) throw UsageError(fmt::format("{}: is a link that leads nowhere; remove it first", given.string()));
    out = real;
  }
  return out;
}

void stage_check(const fs::path& destination, bool force) {
  std::error_code code;
  const fs::file_status status = fs::status(destination, code);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status))
    throw UsageError(fmt::format("{}: is a file, expected the name of a new folder", destination.string()));
  if (!force) throw UsageError(fmt::format("{}: exists already; --force replaces it", destination.string()));
  if (!stage_replaceable(destination))
    throw UsageError(fmt::format(
        "{}: is not an adapter (it has files, but neither adapter_config.json nor weft.json); refusing to delete it, "
        "even with --force",
        destination.string()));
}

std::string stage_prefix(const fs::path& destination) { return "." + destination.filename().string() + ".weft-"; }

/// Removes what dead processes left for the same destination: `.name.weft-PID-N` whose PID is gone.
void stage_clear_leftovers(const fs::path& destination) {
  const std::string prefix = stage_prefix(destination);
  std::error_code code;
  for (fs::directory_iterator it(destination.parent_path(), code), end; !code && it != end; it.increment(code)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    int pid = 0;
    const char* first = name.data() + prefix.size();
    const auto [next, wrong] = std::from_chars(first, name.data() + name.size(), pid);
    if (wrong != std::errc() || next == name.data() + name.size() || *next != '-' || pid <= 0) continue;
    if (::kill(pid, 0) == 0 || errno != ESRCH) continue;
    std::error_code ignored;
    fs::remove_all(it->path(), ignored);
  }
}

/// Makes the missing parents of a destination. Returns those, innermost first, also when it fails half-way.
std::vector<fs::path> stage_make_parents(const fs::path& parent, std::error_code& code) {
  std::vector<fs::path> made;
  for (fs::path p = parent; !fs::exists(p, code) && p.has_relative_path(); p = p.parent_path()) made.push_back(p);
  code.clear();
  fs::create_directories(parent, code);
  return made;
}

/// A name beside the destination that nobody else takes.
fs::path stage_sibling(const fs::path& destination) {
  static std::atomic<int> counter{0};
  return destination.parent_path() / fmt::format("{}{}-{}", stage_prefix(destination), ::getpid(), counter++);
}

/// A file's name, symbolic links to files resolved, so that the file is replaced, not the link.
fs::path stage_file_destination(const fs::path& given) {
  const fs::path out = given.empty() ? given : fs::absolute(given).lexically_normal();
  if (!out.has_filename())
    throw UsageError(fmt::format("'{}' cannot be an output file: name a new one", given.string()));
  std::error_code code;
  if (!fs::is_symlink(out, code)) return out;
  const fs::path real = fs::canonical(out, code);
  if (code) throw UsageError(fmt::format("{}: is a link that leads nowhere; remove it first", given.string()));
  return real;
}

void stage_check_file(const fs::path& destination, bool force) {
  std::error_code code;
  const fs::file_status status = fs::status(destination, code);
  if (!fs::exists(status)) return;
  if (!fs::is_regular_file(status))
    throw UsageError(fmt::format("{}: is {}, expected the name of a file", destination.string(),
                                 fs::is_directory(status) ? "a folder" : "no regular file"));
  if (!force) throw UsageError(fmt::format("{}: exists already; --force replaces it", destination.string()));
}

}  // namespace

StagedFolder::StagedFolder(const fs::path& destination, bool force)
    : destination_(stage_destination(destination)), force_(force) {
  stage_check(destination_, force);
  const fs::path parent = destination_.parent_path();
  std::error_code code;
  made_ = stage_make_parents(parent, code);
  if (code) {
    discard();
    stage_error(parent, "cannot make this folder", code.value());
  }
  stage_clear_leftovers(destination_);
  for (;;) {
    staging_ = stage_sibling(destination_);
    if (::mkdir(staging_.c_str(), 0777) == 0) return;
    if (errno == EEXIST) continue;
    const int reason = errno;
    staging_.clear();
    discard();
    stage_error(destination_, "cannot write here", reason);
  }
}

StagedFolder::~StagedFolder() {
  if (!committed_) discard();
}

void StagedFolder::discard() noexcept {
  std::error_code ignored;
  if (!staging_.empty()) fs::remove_all(staging_, ignored);
  for (const fs::path& p : made_) ::rmdir(p.c_str());  // only if still empty
}

void StagedFolder::commit() {
  for (const auto& entry : fs::recursive_directory_iterator(staging_))
    if (entry.is_regular_file() || entry.is_directory()) stage_sync(entry.path());
  stage_sync(staging_);
  place();
  committed_ = true;
  stage_sync(destination_.parent_path());
}

void StagedFolder::place() {
  if (stage_rename(staging_, destination_, RENAME_NOREPLACE) == 0) return;
  int code = errno;
  std::error_code ignored;
  const bool there = fs::exists(fs::symlink_status(destination_, ignored));
  if (!there && stage_flags_unknown(code)) {
    if (::rename(staging_.c_str(), destination_.c_str()) == 0) return;
    code = errno;
  }
  if (!there) stage_error(destination_, "cannot move the finished folder into place", code);
  stage_check(destination_, force_);  // it may have appeared, or changed, since we started
  if (stage_rename(staging_, destination_, RENAME_EXCHANGE) == 0) {
    fs::remove_all(staging_, ignored);  // now the old one
    return;
  }
  if (!stage_flags_unknown(errno)) stage_error(destination_, "cannot replace", errno);
  fs::path aside = staging_;
  aside += "-old";
  if (::rename(destination_.c_str(), aside.c_str()) != 0) stage_error(destination_, "cannot replace", errno);
  if (::rename(staging_.c_str(), destination_.c_str()) != 0) {
    code = errno;
    ::rename(aside.c_str(), destination_.c_str());
    stage_error(destination_, "cannot replace", code);
  }
  fs::remove_all(aside, ignored);
}

StagedFile::StagedFile(const fs::path& destination, bool force)
    : destination_(stage_file_destination(destination)), force_(force) {
  stage_check_file(destination_, force);
  std::error_code code;
  made_ = stage_make_parents(destination_.parent_path(), code);
  if (code) {
    discard();
    stage_error(destination_.parent_path(), "cannot make this folder", code.value());
  }
  stage_clear_leftovers(destination_);
  int fd = -1;
  do {
    staging_ = stage_sibling(destination_);
    fd = ::open(staging_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EEXIST);
  if (fd >= 0) {
    ::close(fd);
    return;
  }
  const int reason = errno;
  staging_.clear();
  discard();
  stage_error(destination_, "cannot write here", reason);
}

StagedFile::~StagedFile() {
  if (!committed_) discard();
}

void StagedFile::discard() noexcept {
  if (!staging_.empty()) ::unlink(staging_.c_str());
  for (const fs::path& p : made_) ::rmdir(p.c_str());  // only if still empty
}

void StagedFile::commit() {
  stage_sync(staging_);
  int code = 0;
  if (stage_rename(staging_, destination_, RENAME_NOREPLACE) != 0) {
    code = errno;
    if (code == EEXIST || stage_flags_unknown(code)) {
      stage_check_file(destination_, force_);  // it may have appeared since we started
      code = ::rename(staging_.c_str(), destination_.c_str()) == 0 ? 0 : errno;
    }
  }
  if (code != 0) stage_error(destination_, "cannot move the finished file into place", code);
  committed_ = true;
  stage_sync(destination_.parent_path());
}

void write_file(const fs::path& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) stage_error(path, "cannot write", errno);
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int code = n < 0 ? errno : EIO;
      ::close(fd);
      stage_error(path, "cannot write", code);
    }
    text.remove_prefix(static_cast<size_t>(n));
  }
  if (::close(fd) != 0) stage_error(path, "cannot write", errno);
}

std::string read_file(const fs::path& path, size_t limit) {
  const auto fail = [&](const std::string& what) { throw InputError(fmt::format("{}: {}", path.string(), what)); };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail(fmt::format("cannot read: {}", std::strerror(errno)));
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } const closer{fd};
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail(fmt::format("cannot read: {}", std::strerror(errno)));
  if (!S_ISREG(info.st_mode)) fail(S_ISDIR(info.st_mode) ? "is a folder, expected a file" : "is not a regular file");
  const auto size = static_cast<size_t>(info.st_size);
  if (size > limit) fail(fmt::format("has {} bytes, at most {} are read", size, limit));
  std::string out(size, '\0');
  size_t filled = 0;
  while (filled < size) {
    const ssize_t n = ::read(fd, out.data() + filled, size - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(fmt::format("cannot read: {}", std::strerror(errno)));
    if (n == 0) break;
    filled += static_cast<size_t>(n);
  }
  out.resize(filled);
  return out;
}

}  // namespace weft
