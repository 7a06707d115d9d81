#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>

#include "cli/run.h"

/// Exit code of a run whose results could not be printed: a closed pipe is the reader's choice, a full disk is not.
static int after_failed_output(int code, int reason) {
  if (reason == EPIPE || code != 0) return code;
  std::cerr << "weft: error: cannot write to standard output: " << std::strerror(reason) << "\n";
  return 1;
}

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const int code = weft::cli::run(argc, argv, std::cout, std::cerr, ::isatty(STDERR_FILENO) != 0);
  errno = 0;
  std::cout.flush();
  return std::cout.good() ? code : after_failed_output(code, errno);
}
