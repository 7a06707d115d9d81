#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "core/staged.h"
#include "dist/group.h"
#include "support/temp_dir.h"

namespace weft::test {

/// What a rank leaves for the test to read.
inline void leave_word(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}
/// What it left, or nothing.
inline std::string word_of(const std::filesystem::path& path) {
  return std::filesystem::exists(path) ? read_file(path, size_t{1} << 20) : "";
}

/// A port of this machine that nobody listens on just now.
inline int free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ::bind(listener, reinterpret_cast<sockaddr*>(&address), length);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  ::close(listener);
  return ntohs(address.sin_port);
}

/// Two or more ranks on this machine; short waits, long enough for a busy one.
inline dist::Placement placed(int rank, int size, int port) {
  dist::Placement at;
  at.rank = rank, at.size = size, at.host = "127.0.0.1", at.port = port;
  at.join_timeout = std::chrono::seconds(60), at.timeout = std::chrono::seconds(60);
  return at;
}

/// What a rank does; its return value is what the test sees.
using RankWork = std::function<std::string(const dist::Placement& placement)>;

/// Runs a rank in each of `size` processes: what each returned, `error: …` with the text of what it threw, or `killed`.
inline std::vector<std::string> run_ranks(int size, const RankWork& work) {
  const TempDir dir;
  const int port = free_port();
  std::vector<pid_t> children;
  for (int rank = 0; rank < size; ++rank) {
    const pid_t child = ::fork();
    if (child != 0) {
      children.push_back(child);
      continue;
    }
    std::string said;
    try {
      said = work(placed(rank, size, port));
    } catch (const std::exception& error) {
      said = "error: " + std::string(error.what());
    }
    leave_word(dir / std::to_string(rank), said);
    ::_exit(0);
  }
  std::vector<std::string> out;
  for (int rank = 0; rank < size; ++rank) {
    int status = 0;
    ::waitpid(children[static_cast<size_t>(rank)], &status, 0);
    out.push_back(WIFSIGNALED(status) ? "killed" : word_of(dir / std::to_string(rank)));
  }
  return out;
}

}  // namespace weft::test
