#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/staged.h"

namespace weft::test {

/// What a run of the program as a process of its own returned (128 + signal when killed) and printed on stderr.
struct ProcessResult {
  int code = 0;
  std::string err;
};

/// Starts the program; `prepare` runs in the child, just before. Its stderr goes to a file, its stdout to /dev/null.
inline pid_t start_weft(const std::vector<std::string>& arguments, const std::filesystem::path& err,
                        const std::function<void()>& prepare = {}) {
  std::vector<char*> argv = {const_cast<char*>(WEFT_BINARY)};
  for (const std::string& text : arguments) argv.push_back(const_cast<char*>(text.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::dup2(::open("/dev/null", O_RDWR), STDOUT_FILENO);
  ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
  if (prepare) prepare();
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

/// Waits for the end of a started program.
inline int wait_for(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

inline ProcessResult run_weft(const std::vector<std::string>& arguments, const std::filesystem::path& err,
                              const std::function<void()>& prepare = {}) {
  const int code = wait_for(start_weft(arguments, err, prepare));
  return {code, read_file(err, size_t{1} << 20)};
}

/// Relative path and bytes of every file below a folder.
inline std::vector<std::pair<std::string, std::string>> contents_of(const std::filesystem::path& folder) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      out.emplace_back(std::filesystem::relative(entry.path(), folder).string(),
                       read_file(entry.path(), size_t{64} << 20));
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace weft::test
